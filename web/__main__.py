"""``python -m web`` is the command ``tmpenv``."""

from web.cli import main

main()
