"""Serves runs over HTTP: an ASGI application that can be mounted anywhere, worker processes that predict, and dynamic batching."""
