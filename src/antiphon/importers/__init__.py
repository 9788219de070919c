"""Importers, which read trained models in the formats of other programs; one file per format, found by the registry."""
