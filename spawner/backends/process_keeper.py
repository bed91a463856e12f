"""Make, look at and end the environments of one instance: the calls that block.

What is known of an environment is joined here from its directory
(:mod:`spawner.backends.process_files`) and from the table of processes
(:mod:`spawner.backends.process_table`).
"""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

from spawner.backends import process_table as table
from spawner.backends.base import Observed, Order
from spawner.backends.process_disk import directory_size
from spawner.backends.process_files import Record, Shelf
from spawner.backends.process_spawn import IP, spawn
from spawner.backends.process_watch import open_pidfd
from spawner.errors import StartFailed, StopFailed
from spawner.model import Address, Auth


class Keeper:
    """Keeps the environments of one instance on a shelf.

    Every method may raise OSError, which means that nothing is known.
    """

    def __init__(self, instance: str, shelf: Shelf) -> None:
        self._instance = instance
        self._shelf = shelf
        self._reaping = threading.Lock()

    def prepare(self) -> None:
        """Make the place for environments."""
        self._shelf.prepare()

    def launch(self, order: Order) -> tuple[Address, int | None]:
        """Run an environment, or find it running; give a descriptor of its first process too.

        Raises:
            StartFailed: It could not be started, or has ended.
        """
        with self._shelf.locked():
            record = self._shelf.record(order.id)
            if record is None:
                record = self._record(order, self._shelf.free_port())
                self._shelf.create(record)
            if record.instance != self._instance:
                raise StartFailed("An environment of this id belongs to another tmpenv.")
            if self._shelf.pid(order.id) is None:
                self._begin(order, record.port)
        seen = self._observe(record)
        if not seen.is_running:
            raise StartFailed(f"The environment ended before it was ready: {seen.detail}.")
        return Address(IP, record.port), self.descriptor(order.id)

    def _begin(self, order: Order, port: int) -> None:
        command = order.command(ip=IP, port=port)
        assert command is not None
        pid = spawn(order, command, self._shelf.place(order.id), port)
        self._shelf.note(order.id, "born", table.birth(pid))

    def end(self, environment_id: str, grace_s: float) -> None:
        """End all processes of an environment and remove its directory.

        Raises:
            StopFailed: Something of it could not be ended or removed.
        """
        while True:
            with self._shelf.locked():
                record = self._shelf.record(environment_id)
                if record is None or record.instance != self._instance:
                    break
                root = self._root(environment_id)
            table.end(root, grace_s)
            with self._shelf.locked():
                if self._root(environment_id).pid == root.pid:
                    self._shelf.discard(environment_id)
                    break
        try:
            self._shelf.clear(environment_id)
        except OSError as error:
            raise StopFailed(f"Its directory could not be removed: {error}.") from error

    def look(self, environment_id: str) -> Observed | None:
        """Look at one environment of this instance; None if there is none."""
        record = self._shelf.record(environment_id)
        if record is None or record.instance != self._instance:
            return None
        return self._observe(record)

    def all(self) -> list[Observed]:
        """Look at all environments of this instance, and cut their logs on the way."""
        ours = [record for record in self._shelf.records() if record.instance == self._instance]
        for record in ours:
            self._shelf.cut_log(record.id)
        return [self._observe(record) for record in ours]

    def tail(self, environment_id: str, lines: int) -> str:
        """Give the last lines that an environment of this instance printed."""
        return self._shelf.tail(environment_id, lines) if self.look(environment_id) else ""

    def size(self, environment_id: str) -> int | None:
        """Measure the directory of an environment of this instance; None if there is none."""
        if self.look(environment_id) is None:
            return None
        return directory_size(self._shelf.place(environment_id))

    def log(self, environment_id: str) -> Path:
        """Give the file into which an environment prints, whether it is there or not."""
        return self._shelf.log(environment_id)

    def _observe(self, record: Record) -> Observed:
        root = self._root(record.id)
        is_running = table.find_root(root) is not None
        return Observed(
            id=record.id,
            base_path=record.base_path,
            template=record.template,
            digest=record.digest,
            auth=Auth(record.auth),
            created_at=datetime.fromisoformat(record.created),
            is_running=is_running,
            address=Address(IP, record.port) if is_running else None,
            detail="" if is_running else self._ending(root),
        )

    def _ending(self, root: table.Root) -> str:
        if root.pid is None:
            return "never started"
        with self._reaping:  # whoever asks second reads what the first has written
            if how := table.reap(root):
                self._shelf.note(root.environment_id, "exit", how)
            return self._shelf.ending(root.environment_id) or "ended"

    def descriptor(self, environment_id: str) -> int | None:
        """Open a descriptor of the first process, surely of that and not of a later one."""
        root = self._root(environment_id)
        descriptor = open_pidfd(root.pid) if root.pid else None
        if descriptor is not None and table.find_root(root) is None:
            os.close(descriptor)
            return None
        return descriptor

    def _root(self, environment_id: str) -> table.Root:
        shelf = self._shelf
        return table.Root(environment_id, shelf.pid(environment_id), shelf.born(environment_id))

    def _record(self, order: Order, port: int) -> Record:
        return Record(
            kind="environment",
            instance=self._instance,
            id=order.id,
            base_path=order.base_path,
            template=order.template.name,
            digest=order.template.digest,
            auth=order.template.auth,
            created=datetime.now(UTC).isoformat(),
            port=port,
        )
