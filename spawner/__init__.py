"""What an environment is, and how one comes to be and ends."""
