"""The data path: moves bytes between visitors and environments; knows routes and addresses, never containers."""
