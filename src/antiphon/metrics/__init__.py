"""Metrics, which compute scores from predictions and references. Imports no torch."""
