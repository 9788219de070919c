"""Formats of other programs that trained models are read from. One file per format, found by the registry."""
