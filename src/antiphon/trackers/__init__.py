"""Experiment trackers: where a run's events can be sent, beside its own log; one tracker per file."""
