"""Who hosts repositories: a small class for each, which reads addresses and asks nobody."""
