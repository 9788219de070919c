"""Thin: how records become examples and hypotheses become predictions."""
