"""The data path: knows routes and addresses, never containers."""
