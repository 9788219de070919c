"""Forecasts that need no training, as baselines for every model. Imports no torch."""
