"""Ways to ask a service, one per file: each makes routes for it."""
