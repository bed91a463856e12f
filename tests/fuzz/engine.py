"""Play one generated input after the other against a target, for a time.

Inputs come in batches, and each batch has a seed of its own, counted up from the first.
So a run is the same again with the same first seed; only how far it gets depends on the
machine. What fails is made as small as it gets and saved as the plain bytes it is.
"""

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from tests.unit.proxy.messages import (
    Mutation,
    frame_streams,
    mutations,
    request_bytes,
    response_bytes,
)

ROOT = Path(__file__).parent
CORPUS = ROOT / "corpus"
CRASHES = ROOT / "crashes"

_MADE_ANEW = {"requests": request_bytes, "responses": response_bytes, "frames": frame_streams}
_BATCH = settings(
    max_examples=100,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
    report_multiple_bugs=False,
)


class Crash(NamedTuple):
    """The smallest input that was found for which a target's rules do not hold."""

    path: Path
    seed: int  # of the batch
    error: Exception

    def __str__(self) -> str:
        return (
            f"{type(self.error).__name__}: {self.error}\n"
            f"seed {self.seed}, input {self.path.read_bytes()!r}\n"
            f"Play it again:   make fuzz ARGS={self.path}\n"
            f"Once it is mended, keep it: move it to {CORPUS}/{self.path.parent.name}/"
        )


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Return what a target is fed: made anew, or from the corpus with bytes gone wrong."""
    known = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    spoiled = st.builds(_spoil, st.sampled_from(known), st.lists(mutations, max_size=4))
    return _MADE_ANEW[target] | spoiled


def _spoil(data: bytes, chain: list[Mutation]) -> bytes:
    for mutation in chain:
        data = mutation(data)
    return data


class Fuzzer:
    """Plays inputs of ``source`` against ``check``, which raises where a rule does not hold."""

    def __init__(
        self, check: Callable[[bytes], None], source: st.SearchStrategy[bytes], crashes: Path
    ) -> None:
        self.played = 0
        self._check = check
        self._source = source
        self._crashes = crashes

    def run(self, first_seed: int, seconds: float) -> Crash | None:
        """Return the first crash within ``seconds``, if there is one."""
        until = time.monotonic() + seconds
        number = first_seed
        while time.monotonic() < until:
            crash = self._batch(number, until)
            if crash is not None:
                return crash
            number += 1
        return None

    def _batch(self, number: int, until: float) -> Crash | None:
        failed: list[bytes] = []

        @seed(number)
        @_BATCH
        @given(self._source)
        def play(data: bytes) -> None:
            if not failed and time.monotonic() > until:
                return
            self.played += 1
            try:
                self._check(data)
            except Exception:
                failed.append(data)  # the last one is the smallest
                raise

        try:
            play()
        except Exception as error:
            return Crash(self._save(failed[-1]), number, error)
        return None

    def _save(self, data: bytes) -> Path:
        self._crashes.mkdir(parents=True, exist_ok=True)
        path = self._crashes / f"{zlib.crc32(data):08x}"
        path.write_bytes(data)
        return path
