"""The commands that work on runs, one per file."""
