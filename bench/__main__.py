"""``python -m bench [handout] [refill]``: run the named benches, or all."""

import asyncio
import sys

from bench import handout, refill

BENCHES = {"handout": handout.measure, "refill": refill.measure}


def main() -> None:
    """Run what the command line names."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.exit(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    for name in names:
        asyncio.run(BENCHES[name]())


if __name__ == "__main__":
    main()
