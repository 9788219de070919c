"""Decoder vectors -> output."""
