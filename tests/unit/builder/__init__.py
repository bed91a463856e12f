"""The pure parts of the web package."""
