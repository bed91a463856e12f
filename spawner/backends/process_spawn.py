"""Start the first process of an environment.

It gets a session, a directory and variables of its own and nothing of ours: no
open file, no variable but PATH and LANG. A shell writes down its pid and then
becomes the server, so that a crash of tmpenv at any instant leaves no process
that is not written down, or marked with its environment's id.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from spawner.backends.base import Order
from spawner.errors import StartFailed

IP = "127.0.0.1"
#: With "set -C" the first to write the pid wins; a second child for one directory ends.
_SHIM = 'set -C; echo $$ >"$0/pid" || exit 0; set +C; cd "$0/home" || exit 1; exec "$@"'
_PID_S = 10.0
_PAUSE_S = 0.001


class _Child(subprocess.Popen[bytes]):
    """A process that may outlive this one, as environments do."""

    def __del__(self) -> None:
        """Let go without the warning; whoever looks at it next reaps it by its pid."""


def spawn(order: Order, command: list[str], place: Path, port: int) -> int:
    """Start the first process and give its pid, once that is written down.

    Raises:
        StartFailed: It could not be started.
    """
    with (place / "log").open("ab") as log:
        try:
            child = _Child(
                ["/bin/sh", "-c", _SHIM, str(place), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=place,
                env=_variables(order, place, port),
                start_new_session=True,
                umask=0o077,
            )
        except (OSError, ValueError) as error:
            raise StartFailed(f"It could not be started: {error}.") from error
    return _written_pid(child, place / "pid")


def _variables(order: Order, place: Path, port: int) -> dict[str, str]:
    # What is installed beside tmpenv (JupyterLab) is found without activating anything.
    beside = str(Path(sys.executable).parent)
    return {
        "PATH": os.pathsep.join((beside, os.environ.get("PATH", os.defpath))),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        **order.variables(ip=IP, port=port),
    }


def _written_pid(child: _Child, path: Path) -> int:
    deadline = time.monotonic() + _PID_S
    while True:
        if path.exists() and (text := path.read_text().strip()):
            return int(text)
        if child.poll() is not None or time.monotonic() > deadline:
            raise StartFailed("Its shell ended before it had begun.")
        time.sleep(_PAUSE_S)
