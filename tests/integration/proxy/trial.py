"""Try the contract on a proxy that runs, and read what came of it."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.command import ROOT
from tests.integration.proxy.promises import promise_of
from tests.peers.peer import Peer

HERE = Path(__file__).parent
TIMEOUT_S = 600.0
KEPT, BROKEN, SKIPPED, ERRED = "kept", "broken", "skipped", "erred"

#: How often each promise was kept, was broken, could not be tried, or was not for our own fault.
Findings = dict[str, Counter[str]]


@contextmanager
def reserved_port() -> Iterator[int]:
    """Find a port that nobody else is given, though it is listened on now and then only."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


async def try_on(peer: Peer, *arguments: str) -> Findings:
    """Run the suite against ``peer``."""
    host, port = peer.address
    return await run_tests(
        [
            str(HERE),
            f"--target={host}:{port}",
            f"--upstream={host}:{peer.upstream_port}",
            f"--target-pid={peer.pids[0]}",
            *arguments,
        ],
        peer.directory / "report.xml",
    )


async def run_tests(arguments: Sequence[str], report: Path, **environ: str) -> Findings:
    """Run tests in a process of their own, and read its report."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "--tb=native", f"--junitxml={report}", *arguments),
        cwd=ROOT,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        await asyncio.wait_for(process.wait(), TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
    return read_report(report)


def read_report(report: Path) -> Findings:
    """Return what a JUnit report says of each promise."""
    findings: Findings = defaultdict(Counter)
    for case in ET.parse(report).iter("testcase"):
        if promise := promise_of(case.get("name", "")):
            findings[promise][_outcome(case)] += 1
    return findings


def why_broken(report: Path) -> Iterator[tuple[str, str]]:
    """Yield each broken test of a report, with the line that says why."""
    for case in ET.parse(report).iter("testcase"):
        for trouble in (*case.iter("failure"), *case.iter("error")):
            told = re.sub(r"\s+", " ", trouble.get("message", ""))
            yield case.get("name", ""), told[:200]


def _outcome(case: ET.Element) -> str:
    if case.find("failure") is not None:
        return BROKEN
    if case.find("error") is not None:
        return ERRED  # before or after the test: what it left behind, not what it saw
    return KEPT if case.find("skipped") is None else SKIPPED
