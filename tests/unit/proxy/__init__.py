"""The pure parts of the data path."""
