"""Why tmpenv cannot start."""


class StartError(Exception):
    """Something outside is not as it must be; the text says in one line what to do."""
