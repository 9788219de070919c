"""Protocols, by which clients send requests to the service, one per file: each defines routes for it."""
