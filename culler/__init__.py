"""Which environments have outlived their use, and their end."""
