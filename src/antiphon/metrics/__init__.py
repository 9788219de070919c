"""Predictions and references -> numbers. Imports no torch."""
