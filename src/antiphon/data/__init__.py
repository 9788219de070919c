"""Data: reads files, encodes records, and prepares batches."""
