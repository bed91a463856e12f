"""The application over the real core, on a real Redis."""
