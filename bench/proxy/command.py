"""The bench as ``python -m bench proxy`` runs it: its options, and what it shows."""

import argparse
import resource
import sys
import time
from pathlib import Path

from bench.proxy.run import Effort, measure, processors
from bench.proxy.scenarios import GROUPS, QUICK, Group
from bench.proxy.table import table
from bench.proxy.targets import figures
from bench.proxy.versions import version
from bench.report import show
from tests.peers.running import PEERS

FULL_EFFORT = Effort(rounds=4, seconds=1)
QUICK_EFFORT = Effort(rounds=2, seconds=1)


def add_options(everything: argparse.ArgumentParser) -> None:
    """Add what only this bench understands."""
    parser = everything.add_argument_group("proxy")
    names = [scenario.name for group in GROUPS for scenario in group]
    parser.add_argument("--quick", action="store_true", help="fewer scenarios and rounds")
    parser.add_argument("--peers", nargs="+", choices=PEERS, metavar="PEER", help=" ".join(PEERS))
    parser.add_argument(
        "--scenarios", nargs="+", choices=names, metavar="SCENARIO", help=" ".join(names)
    )
    parser.add_argument("--rounds", type=int, help="so many count; before several comes one more")
    parser.add_argument("--seconds", type=int, help="of each proxy in each round")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where to write it as JSON")


def chosen(options: argparse.Namespace) -> list[Group]:
    """Give the scenarios that are asked for, in their groups."""
    everything = {scenario.name for group in GROUPS for scenario in group}
    wanted = options.scenarios or (QUICK if options.quick else everything)
    groups = (tuple(one for one in group if one.name in wanted) for group in GROUPS)
    return [group for group in groups if group]


async def measure_and_show(options: argparse.Namespace) -> None:
    """Measure what the options say, and show it."""
    default = QUICK_EFFORT if options.quick else FULL_EFFORT
    effort = Effort(
        rounds=options.rounds or default.rounds,
        seconds=options.seconds or default.seconds,
        peers=options.peers or default.peers,
    )
    _raise_open_files()
    cores, began = processors(), time.monotonic()
    rows = await measure(chosen(options), effort, lambda text: print(text, file=sys.stderr))
    print(f"\n{table(rows)}")
    show(
        "proxy",
        figures(rows),
        {
            "versions": {name: version(name) for name in effort.peers},
            "rounds": effort.rounds,
            "seconds of each proxy in each round": effort.seconds,
            "the proxies have a processor to themselves": cores.are_apart,
            "minutes": round((time.monotonic() - began) / 60, 1),
        },
        rows=[row.facts for row in rows],
        path=options.json,
    )


def _raise_open_files() -> None:
    """Let everything that is started from here open as many files as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
