"""A registry of images of a test's own, which can be stopped, held and started again.

Docker asks registries on loopback addresses without TLS, so none is set up here.
"""

import http.client
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

_READY_S = 15.0
_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {directory}/images}}}}
http: {{addr: "127.0.0.1:{port}", secret: of-a-test}}
"""
_AUTH = "auth: {{htpasswd: {{realm: tests, path: {path}}}}}\n"
#: Whom a registry with a password lets in, and the bcrypt hash of the password.
USER, PASSWORD = "ada", "correct horse"
_HASH = "$2b$04$fOIWKNByxAoRyAm82C5QvumI4brCfPT0tUEuOjTY0bCT3RNibbA0a"


class Registry:
    """Keeps its images in a directory, and its port for as long as it lives."""

    def __init__(self, directory: Path, *, has_password: bool = False) -> None:
        self._directory = directory
        self._has_password = has_password
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port: int = taken.getsockname()[1]

    def name(self, image: str) -> str:
        """Give the name by which Docker finds an image here."""
        return f"127.0.0.1:{self.port}/{image}"

    def start(self) -> None:
        """Start it; return when it answers."""
        config = self._directory / "config.yml"
        text = _CONFIG.format(directory=self._directory, port=self.port)
        if self._has_password:
            (self._directory / "htpasswd").write_text(f"{USER}:{_HASH}\n")
            text += _AUTH.format(path=self._directory / "htpasswd")
        config.write_text(text)
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", config], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _READY_S
        while not self._answers():
            assert self._process.poll() is None, (self._directory / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in the middle of whatever it does; its images stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_READY_S)
            self._process = None

    def hold(self) -> None:
        """Let it take connections and answer nobody, until :meth:`go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again, those first who have waited."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/v2/")
            wanted = http.HTTPStatus.UNAUTHORIZED if self._has_password else http.HTTPStatus.OK
            return connection.getresponse().status == wanted
        except OSError:
            return False
        finally:
            connection.close()
