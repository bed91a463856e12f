"""The fuzzer's corpus: valid messages, known ways to be misread, and what once broke."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.unit.proxy.messages import bytewise
from tests.unit.proxy.request_oracle import check_requests
from tests.unit.proxy.response_oracle import ASKS, check_responses
from tests.unit.proxy.tunnel_oracle import check_tunnel

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"


def known(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())


def name(path: Path) -> str:
    return path.name


def test_every_target_has_a_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize("path", known("requests"), ids=name)
def test_a_request_is_read_alike_by_all(path: Path) -> None:
    data = path.read_bytes()

    talk = check_requests(data, [bytewise(data)])

    refused = b"HTTP/1.1 400 " in talk.to_visitor or b"HTTP/1.1 405 " in talk.to_visitor
    assert refused == path.name.startswith("vector-")


@pytest.mark.parametrize("path", known("responses"), ids=name)
@pytest.mark.parametrize("ask", sorted(ASKS))
@pytest.mark.parametrize("ends", [True, False])
def test_an_answer_is_read_alike_by_all(path: Path, ask: str, ends: bool) -> None:
    data = path.read_bytes()

    check_responses(data, ASKS[ask], [bytewise(data)], ends=ends)


@pytest.mark.parametrize("path", known("responses"), ids=name)
def test_an_answer_is_relayed_unless_it_can_be_read_in_two_ways(path: Path) -> None:
    answered = check_responses(path.read_bytes(), ASKS["get"], ends=False)

    is_refused = b"HTTP/1.1 502 " in answered.to_visitor or answered.ending == "cut"
    nobody_asked = path.name == "websocket"
    assert is_refused == (path.name.startswith("vector-") or nobody_asked)


@pytest.mark.parametrize("sent", known("frames"), ids=name)
@pytest.mark.parametrize("answered", known("frames"), ids=name)
def test_frames_cross_untouched(sent: Path, answered: Path) -> None:
    mine, theirs = sent.read_bytes(), answered.read_bytes()

    check_tunnel(mine, theirs, [(bytewise(mine), bytewise(theirs))])
