"""The one place that speaks to Redis."""
