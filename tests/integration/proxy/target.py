"""A proxy that runs somewhere, in place of one that the tests make themselves.

All that is known of it is its address, and where it forwards ``/user/abc/…`` and
``/user/def/…`` to. A test that asks for more, be it a setting, a route of its own or a
look inside, is skipped with that reason.
"""

from dataclasses import dataclass
from typing import Any, NoReturn, Self

import pytest

from tests.integration.proxy.kit import Environment, Stage, Wire, status

Address = tuple[str, int]


@dataclass(frozen=True)
class Target:
    """What was told of a proxy that runs."""

    address: Address
    upstream: Address
    pid: int | None = None


def read_address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise pytest.UsageError(f"{text!r} is no HOST:PORT")
    return host, int(port)


def target_of(config: pytest.Config) -> Target | None:
    """Return the target that was named on the command line, if one was."""
    # Where many directories are tested, the options are not there.
    text = config.getoption("target", None)
    if text is None:
        return None
    if config.getoption("upstream") is None:
        raise pytest.UsageError("--target needs --upstream: where it forwards /user/abc/ to")
    upstream = read_address(config.getoption("upstream"))
    return Target(read_address(text), upstream, config.getoption("target_pid"))


class TargetStage(Stage):
    """A stage around a proxy that is there already."""

    def __init__(self, target: Target) -> None:
        # Not the insides of a stage: whoever asks for them meets __getattr__.
        self.target = target
        self.environments: list[Environment] = []
        self.visitors: list[Wire] = []

    def __getattr__(self, name: str) -> NoReturn:
        pytest.skip(f"a target has no {name} to be looked at")

    async def start(self, **settings: object) -> Self:
        if settings:
            pytest.skip("a target has settings of its own: " + ", ".join(settings))
        return self

    def put(self, name: str, *_standing: object, **_route: Any) -> NoReturn:
        pytest.skip("a target has routes of its own")

    def share(self, name: str, environment: Environment) -> None:
        """Go on: all that a target has leads to one place."""

    async def environment(self, name: str = "abc", **route: object) -> Environment:
        if route or name != "abc" or self.environments:
            pytest.skip("a target has routes of its own")
        host, port = self.target.upstream
        environment = await Environment().start(host=host, port=port)
        self.environments.append(environment)
        return environment

    @property
    def address(self) -> Address:
        return self.target.address

    @property
    def reached(self) -> int:
        return sum(one.accepted for one in self.environments)

    def says(self, head: bytes, expected: int) -> bool:
        """A target may say it with another status of the same kind."""
        told = status(head)
        is_refusal = 400 <= told < 500 or told in (501, 505)
        return is_refusal if expected < 500 else told >= 500 and not is_refusal

    async def hung_up(self, visitor: Wire, head: bytes) -> bool:
        """A target may go on with a connection, as long as nobody is reached over it."""
        return True

    def answer_all(self) -> None:
        for one in self.environments:
            one.answer_all()

    async def counts_become(self, **_counts: int) -> None:
        """Go on: what a target counts by itself is not known."""

    async def stop(self) -> None:
        for visitor in self.visitors:
            await visitor.close()
        for environment in self.environments:
            await environment.stop()
