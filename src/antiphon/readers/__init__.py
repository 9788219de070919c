"""Readers for file formats of records, one per file: each reads records, and can write predictions back where the format holds any."""
