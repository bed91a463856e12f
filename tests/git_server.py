"""Repositories of git, served over smart HTTP on loopback by git itself (git-http-backend).

The server asks for a password, sends on, stalls and breaks off as a test tells it to.
"""

import base64
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
}
_WITHOUT_SETTINGS = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


class Repository:
    """One repository that is served, changed by commits."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *arguments: str, given: str | None = None) -> str:
        """Run git on it; give what it printed."""
        done = subprocess.run(
            ["git", "-c", "protocol.file.allow=always", *arguments],
            cwd=self.path,
            env=os.environ | _AUTHOR | _WITHOUT_SETTINGS,
            input=given,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | bytes], *, branch: str = "main") -> str:
        """Add files on top of a branch, which begins with them if it is new; give the commit."""
        if self.git("branch", "--list", branch):
            self.git("checkout", "--quiet", branch)
        elif self.git("rev-list", "--all", "--max-count=1"):
            self.git("checkout", "--quiet", "--orphan", branch)
            self.git("rm", "-r", "--quiet", "--force", "--ignore-unmatch", ".")
        else:
            self.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            if isinstance(content, str) and content.startswith("#!"):
                path.chmod(0o755)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", "More")
        commit = self.git("rev-parse", "HEAD")
        if branch != "main" and self.git("branch", "--list", "main"):
            self.git("checkout", "--quiet", "main")
        return commit

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> None:
        """Put a tag on a commit."""
        flags = ("--annotate", "--message", name) if annotated else ()
        self.git("tag", *flags, name, commit)

    def submodule(self, path: str, url: str, repository: "Repository") -> str:
        """Add a submodule whose address is told as ``url``; give the commit."""
        self.git("submodule", "--quiet", "add", "--", str(repository.path), path)
        self.git("config", "--file", ".gitmodules", f"submodule.{path}.url", url)
        return self.commit({})


class GitServer:
    """Serves the repositories below a directory; its attributes say how it behaves."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        #: User and password that all requests need; None for none.
        self.login: tuple[str, str] | None = None
        #: Path of a repository → the whole address to which it sends on.
        self.moved: dict[str, str] = {}
        #: While clear, nobody is answered.
        self.answers = threading.Event()
        self.answers.set()
        #: Status of every answer, in place of the repository.
        self.broken = 0
        #: What was asked: path with query, and Authorization.
        self.asked: list[tuple[str, str]] = []
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no longer."""
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, name: str) -> str:
        """Give the address of a repository ("org/repo")."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def repository(self, name: str) -> Repository:
        """Make a repository without a commit."""
        path = self.directory / name
        path.mkdir(parents=True)
        repository = Repository(path)
        repository.git("init", "--quiet", "--initial-branch=main")
        repository.git("config", "http.receivepack", "false")
        repository.git("config", "uploadpack.allowFilter", "true")
        return repository


@contextmanager
def git_server(directory: Path) -> Iterator[GitServer]:
    """Serve what is below a directory."""
    server = GitServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _git(self) -> GitServer:
        assert isinstance(self.server, _Server)
        return self.server.git

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._answer(b"".join(self._chunks()))
        else:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, body: bytes) -> None:
        server = self._git
        path, _, query = self.path.partition("?")
        server.asked.append((self.path, self.headers.get("Authorization", "")))
        server.answers.wait()
        for name, target in server.moved.items():
            if path.startswith(f"/{name}/"):
                rest = self.path.removeprefix(f"/{name}")
                self._send(301, {"Location": target + rest}, b"")
                return
        if server.broken:
            self._send(server.broken, {}, b"")
        elif server.login is not None and not self._is_let_in(server.login):
            self._send(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        else:
            self._send(*self._backend(path, query, body))

    def _is_let_in(self, login: tuple[str, str]) -> bool:
        wanted = base64.b64encode(":".join(login).encode()).decode()
        return self.headers.get("Authorization", "") == f"Basic {wanted}"

    def _backend(self, path: str, query: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        variables = {
            "PATH": os.environ["PATH"],
            **_WITHOUT_SETTINGS,
            "GIT_PROJECT_ROOT": str(self._git.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            # Tests may run as root in directories of others.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=variables, capture_output=True, check=False
        )
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        return status, headers, answer

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        # Who gave up waiting is not told.
        with suppress(ConnectionError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of who went away."""

    def __init__(self, git: GitServer) -> None:
        self.git = git
        super().__init__(("127.0.0.1", 0), _Handler)


def host_of(url: str) -> str:
    """Give the host with its port of an address."""
    return urlsplit(url).netloc
