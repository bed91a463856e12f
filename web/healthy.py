"""Say by the exit code whether the tmpenv of these settings is alive: ``python -m web.healthy``.

For health checks of containers, which have no curl. It reads the settings where
``tmpenv serve`` does, except for flags, and asks this machine's ``/healthz``.
"""

from web.commands.asking import Tmpenv
from web.start_errors import told_in_one_line

if __name__ == "__main__":
    with told_in_one_line():
        Tmpenv.meant_by().ask("GET", "/healthz")
