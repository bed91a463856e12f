"""The command ``tmpenv`` run as a process, from this tree, whether installed or not."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import eventually

ROOT = Path(__file__).parents[1]
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
address = (os.environ["TMPENV_IP"], int(os.environ["TMPENV_PORT"]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
CONFIG = f"""
port = 0
backend = "process"
[templates.demo]
title = "Demo"
command = [{json.dumps(sys.executable)}, "-c", {json.dumps(SERVER)}]
stop_grace = "100ms"
[pools.demo]
size = 3
spare = 1
"""


def variables(**more: str) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith("TMPENV_")}
    return {**ours, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **more}


def run(
    *arguments: str, prefix: tuple[str, ...] = (), **environ: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*prefix, sys.executable, "-m", "web", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=variables(**environ),
        check=False,
    )


class Served:
    """A tmpenv that runs."""

    def __init__(self, process: "subprocess.Popen[str]", directory: Path) -> None:
        self.process = process
        self.directory = directory
        self.banner = ""
        assert process.stdout
        for line in process.stdout:
            self.banner += line
            if found := re.search(r"Open +(https?://\S+)/$", line):
                self.url = found[1]
            if line.startswith("WARNING"):
                return
        raise AssertionError((directory / "log").read_text())

    def call(self, method: str, path: str) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def tmpenv(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run(*arguments, "--server", self.url, "--state-dir", str(self.directory))

    async def spawn(self) -> dict[str, Any]:
        async def launched() -> dict[str, Any] | None:
            status, body = self.call("POST", "/api/spawn")
            found: dict[str, Any] = json.loads(body)
            return found if status == 200 else None

        found = await eventually(launched)
        assert found
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serving(directory: Path, *arguments: str, **environ: str) -> Iterator[Served]:
    flags = ("--config", str(directory / "tmpenv.toml"), "--state-dir", str(directory))
    with (
        (directory / "log").open("a") as log,
        subprocess.Popen(
            [sys.executable, "-m", "web", "serve", *flags, *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=variables(**environ),
        ) as process,
    ):
        try:
            yield Served(process, directory)
        finally:
            process.terminate()
