"""Fuzz for longer, or play inputs again: ``python -m tests.fuzz --help``."""

import argparse
import sys
from pathlib import Path

from tests.fuzz.engine import CRASHES, Fuzzer, inputs
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=…", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="for all targets together")
    parser.add_argument("--seed", type=int, default=1, help="of the first batch")
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: each")
    parser.add_argument("inputs", nargs="*", type=Path, help="files to play, and nothing else")
    options = parser.parse_args()
    if options.inputs:
        return play(options.inputs)
    targets = options.target or list(TARGETS)
    return max([_fuzz(one, options.seed, options.seconds / len(targets)) for one in targets])


def play(paths: list[Path]) -> int:
    """Play each file against the target that its folder is named after."""
    for path in paths:
        print(f"{path}: {path.read_bytes()!r}")
        TARGETS[path.parent.name](path.read_bytes())
    return 0


def _fuzz(target: str, seed: int, seconds: float) -> int:
    fuzzer = Fuzzer(TARGETS[target], inputs(target), CRASHES / target)
    crash = fuzzer.run(seed, seconds)
    print(f"{target}: {fuzzer.played} inputs")
    if crash is not None:
        print(crash)
    return 1 if crash else 0


if __name__ == "__main__":
    sys.exit(main())
