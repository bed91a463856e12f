"""Composition root, and all HTTP that is not proxied."""
