"""Parts of networks without an opinion on tasks."""
