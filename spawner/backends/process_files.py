"""The directory of each environment, which is all that the process backend remembers.

::

    <state_dir>/environments/      0700
        .lock                      held while an environment is made or unmade
        <id>/
            environment.json       its labels and its port; there before any process
            pid                    written by the child itself, before it becomes the server
            born                   what tells that process from a later one of its pid
            exit                   how it ended, where that became known
            log                    what it printed, cut when it grows too long
            home/ tmp/             where it lives
        .new-<id>/ .gone-<id>/     half made, half removed

A directory appears and disappears under its name at once, by a rename.
"""

import contextlib
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from spawner.model import Auth

#: A log longer than this is cut to its last part, whenever all environments are listed.
_LOG_LIMIT = 8 << 20
_LOG_KEPT = 1 << 20
_TAIL = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The labels of an environment, and its port."""

    kind: str
    instance: str
    id: str
    base_path: str
    template: str
    digest: str
    created: str
    port: int
    auth: str = Auth.PROXY


class Shelf:
    """The directories of all environments below one state directory.

    Every method may raise OSError, which means that nothing is known.
    """

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "environments"

    def prepare(self) -> None:
        """Make the place for environments, and finish removals that were cut short."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.locked():
            for rest in (*self._root.glob(".new-*"), *self._root.glob(".gone-*")):
                _remove_tree(rest)

    def place(self, environment_id: str) -> Path:
        """Give the directory of an environment."""
        assert environment_id.isascii(), environment_id
        assert environment_id.isalnum(), environment_id
        return self._root / environment_id

    def log(self, environment_id: str) -> Path:
        """Give the file into which an environment prints."""
        return self.place(environment_id) / "log"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one, in this process or any other, who makes or unmakes environments."""
        with (self._root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def records(self) -> list[Record]:
        """Give the records of all environments, of whatever instance."""
        names = [entry.name for entry in os.scandir(self._root) if entry.is_dir()]
        found = [self.record(name) for name in names if not name.startswith(".")]
        return [record for record in found if record]

    def record(self, environment_id: str) -> Record | None:
        """Read the record of an environment; None if there surely is none."""
        try:
            text = (self.place(environment_id) / "environment.json").read_text()
        except FileNotFoundError:
            self._root.stat()  # a missing root is not an answer
            return None
        return Record(**json.loads(text))

    def create(self, record: Record) -> None:
        """Make the directory of an environment, complete or not at all; hold the lock."""
        half = self._root / f".new-{record.id}"
        _remove_tree(half)
        half.mkdir(mode=0o700)
        (half / "home").mkdir(mode=0o700)
        (half / "tmp").mkdir(mode=0o700)
        with (half / "environment.json").open("w") as file:
            json.dump(asdict(record), file)
            file.flush()
            os.fsync(file.fileno())  # the name must not outlive a power cut without the text
        half.rename(self.place(record.id))

    def discard(self, environment_id: str) -> None:
        """Take an environment's directory out of sight; hold the lock."""
        with contextlib.suppress(FileNotFoundError):
            self.place(environment_id).rename(self._root / f".gone-{environment_id}")

    def clear(self, environment_id: str) -> None:
        """Remove what was taken out of sight."""
        _remove_tree(self._root / f".gone-{environment_id}")

    def pid(self, environment_id: str) -> int | None:
        """Give the pid that the child wrote; None if it has not."""
        text = self._read(environment_id, "pid")
        return int(text) if text else None

    def born(self, environment_id: str) -> str:
        """Give what tells the child from a later process of its pid, where it was noted."""
        return self._read(environment_id, "born")

    def ending(self, environment_id: str) -> str:
        """Give how the child ended, as far as that is known."""
        return self._read(environment_id, "exit")

    def note(self, environment_id: str, name: str, text: str) -> None:
        """Write a small file of an environment, at once; nothing if its directory is gone."""
        place = self.place(environment_id)
        half = place / f".{name}-{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            half.write_text(text)
            half.rename(place / name)

    def free_port(self) -> int:
        """Choose a port that is free and recorded for no environment; hold the lock."""
        taken = {record.port for record in self.records()}
        while True:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port: int = listener.getsockname()[1]
            if port not in taken:
                return port

    def tail(self, environment_id: str, lines: int) -> str:
        """Give the last lines of an environment's log."""
        try:
            with self.log(environment_id).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            self._root.stat()
            return ""
        return "\n".join(text.splitlines()[-lines:]) if lines > 0 else ""

    def cut_log(self, environment_id: str) -> None:
        """Keep the last part of a log that has grown too long; a few lines may be lost.

        The child appends, so that what it prints next stands after what was kept.
        """
        path = self.log(environment_id)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > _LOG_LIMIT:
                with path.open("rb") as log:
                    log.seek(-_LOG_KEPT, os.SEEK_END)
                    kept = log.read()
                os.truncate(path, 0)
                with path.open("ab") as log:
                    log.write(kept)

    def _read(self, environment_id: str, name: str) -> str:
        try:
            return (self.place(environment_id) / name).read_text().strip()
        except FileNotFoundError:
            self._root.stat()
            return ""


def _remove_tree(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except PermissionError:
        # What lived here may have locked its own directories.
        for place, _, _ in os.walk(path):
            Path(place).chmod(0o700)
        shutil.rmtree(path)
