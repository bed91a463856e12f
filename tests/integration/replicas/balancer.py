"""haproxy before two replicas, with the configuration that operators are given."""

import csv
import io
import shutil
import subprocess
import tempfile
from asyncio import open_unix_connection
from collections.abc import Sequence
from pathlib import Path

from tests.command import ROOT
from tests.peers.peer import Peer

EXAMPLE = ROOT / "deploy" / "haproxy" / "haproxy.cfg"


class Balancer(Peer):
    """The example of deploy/haproxy, with the addresses of this machine."""

    name = "haproxy"
    component = "haproxy"

    def __init__(self, directory: Path, ports: Sequence[int]) -> None:
        super().__init__(directory, 0)
        self._ports = ports
        # Paths of sockets are short, and those of tests are long.
        self._place = Path(tempfile.mkdtemp(prefix="haproxy-"))
        self._socket = self._place / "stats"

    def command(self) -> Sequence[str]:
        text = EXAMPLE.read_text()
        first, second = self._ports
        for example, ours in (
            ("/run/haproxy/tmpenv.sock", str(self._socket)),
            ("bind :80", f"bind 127.0.0.1:{self.port}"),
            ("192.0.2.1:8000", f"127.0.0.1:{first}"),
            ("192.0.2.2:8000", f"127.0.0.1:{second}"),
        ):
            assert example in text
            text = text.replace(example, ours)
        conf = self.directory / "haproxy.cfg"
        conf.write_text(text)
        checked = subprocess.run(
            ["haproxy", "-c", "-f", str(conf)], check=True, capture_output=True
        )
        assert b"WARNING" not in checked.stderr, checked.stderr
        return ["haproxy", "-db", "-f", str(conf)]

    async def stop(self) -> None:
        await super().stop()
        shutil.rmtree(self._place, ignore_errors=True)

    async def rows(self) -> list[dict[str, str]]:
        """Ask for its statistics."""
        reader, writer = await open_unix_connection(str(self._socket))
        writer.write(b"show stat\n")
        answer = (await reader.read()).decode()
        writer.close()
        return list(csv.DictReader(io.StringIO(answer.removeprefix("# "))))

    async def hidden(self) -> dict[str, int]:
        """Count what a visitor may not have seen: requests that were sent again, or failed."""
        rows = await self.rows()
        kinds = ("wretr", "wredis", "econ", "eresp")
        servers = [row for row in rows if row["pxname"] == "tmpenv"]
        return {kind: sum(int(row[kind] or 0) for row in servers) for kind in kinds}

    async def are_up(self, number: int) -> bool:
        """Say whether so many replicas are led to; none is before haproxy can be asked."""
        try:
            rows = await self.rows()
        except (FileNotFoundError, ConnectionRefusedError):
            return False  # its port is there a moment before its socket
        up = [row for row in rows if row["pxname"] == "tmpenv" and row["svname"] != "BACKEND"]
        return sum(row["status"].startswith("UP") for row in up) == number
