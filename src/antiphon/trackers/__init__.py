"""Trackers: where a run's events go beside its own log, one per file."""
