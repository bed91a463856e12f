"""Foreign interfaces, one module for each."""
