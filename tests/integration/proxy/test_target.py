"""The suite tries a proxy that runs by itself: ``tmpenv proxy``, as a process."""

from pathlib import Path

import pytest

from tests.integration.proxy.promises import BY_ID, Kind
from tests.integration.proxy.target import target_of
from tests.integration.proxy.trial import (
    BROKEN,
    ERRED,
    KEPT,
    SKIPPED,
    reserved_port,
    try_on,
    why_broken,
)
from tests.peers.ours import TmpenvProxy

#: A hub's users have names that browsers encode as they like: prefixes match decoded paths.
OTHERWISE = {"1.2"}
#: What needs short times, a route of the test's own, or another address than that of a route.
UNTRIED = {"2.18", "2.19", "2.34", "2.37", "3.9", "5.10", "5.11", "6.9"}


async def test_every_promise_that_can_be_tried_from_outside_is_kept(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    if target_of(pytestconfig):
        pytest.skip("it is being done")
    with reserved_port() as port:
        async with TmpenvProxy(tmp_path, port, ("abc", "def")) as peer:
            findings = await try_on(peer)

    promises = {id_ for id_ in findings if BY_ID[id_].kind is Kind.ANY}
    kept = {id_ for id_ in promises if findings[id_][KEPT] and not findings[id_][BROKEN]}
    assert promises - kept == OTHERWISE | UNTRIED, [*why_broken(tmp_path / "report.xml")]
    for id_ in UNTRIED:
        assert set(findings[id_]) == {SKIPPED}
    assert not any(counts[ERRED] for counts in findings.values())
