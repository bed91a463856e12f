"""Say which version of each proxy was measured."""

import re
import subprocess

from tests.components import CHP
from web.version import VERSION

_COMMANDS = {
    "nginx": ("nginx", "-v"),
    "haproxy": ("haproxy", "-v"),
    "chp": (str(CHP), "--version"),
}


def version(peer: str) -> str:
    """Ask a proxy for its version."""
    if peer not in _COMMANDS:
        return VERSION
    ran = subprocess.run(_COMMANDS[peer], capture_output=True, text=True, check=True)
    found = re.search(r"\d+(\.\d+)+", ran.stdout + ran.stderr)
    assert found, ran
    return found[0]
