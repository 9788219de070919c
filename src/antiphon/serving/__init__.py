"""Runs as a service over HTTP: an application that anyone may mount, workers that predict, and batches that fill themselves."""
