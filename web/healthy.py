"""Say by the exit code whether the tmpenv of these settings is alive: ``python -m web.healthy``.

For health checks of containers, which have no curl. It reads the settings where
``tmpenv serve`` does, except for flags, and asks this machine's ``/healthz``.
"""

from web.commands.options import ask, client_settings
from web.start_errors import told_in_one_line

if __name__ == "__main__":
    with told_in_one_line():
        ask(client_settings(None), None, "GET", "/healthz")
