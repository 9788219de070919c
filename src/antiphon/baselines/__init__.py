"""Forecasts that need no training: what every model is held against. Imports no torch."""
