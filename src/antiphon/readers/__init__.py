"""Formats of files of records, each in a file: what it reads, and how it writes predictions back where it holds any."""
