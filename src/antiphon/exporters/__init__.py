"""Exporters, which write trained models in the formats of other programs; one format per file."""
