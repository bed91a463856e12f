"""``python -m bench [NAME…]``: run the named benches, or all."""

import argparse
import asyncio

from bench import build, handout, refill
from bench.proxy import command as proxy
from bench.visitors import run as visitors

BENCHES = ("handout", "refill", "build", "visitors", "proxy")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("names", nargs="*", metavar="BENCH", help=" ".join(BENCHES))
    proxy.add_options(parser)
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    for name in options.names or BENCHES:
        asyncio.run(_run(name, options))


async def _run(name: str, options: argparse.Namespace) -> None:
    match name:
        case "handout":
            await handout.measure()
        case "refill":
            await refill.measure()
        case "build":
            await build.measure()
        case "visitors":
            await visitors.measure()
        case "proxy":
            await proxy.measure_and_show(options)


if __name__ == "__main__":
    main()
