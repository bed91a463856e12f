"""What is measured, and how Prometheus is told: docs/metrics.md lists it."""
