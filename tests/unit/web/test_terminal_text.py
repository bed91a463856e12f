"""What an environment printed cannot reach an operator's terminal as a command."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.terminal_text import SafeText


def shown(*parts: bytes) -> str:
    text = SafeText()
    return "".join([*map(text.add, parts), text.end()])


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        (b"plain\n\ttext\n", "plain\n\ttext\n"),
        ("ü €".encode(), "ü €"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        (b"\x1b[2J", "\\x1b[2J"),
        (b"\xc2\x9b2J", "\\x9b2J"),
        (b"10 %\r20 %\r\n", "10 %\n20 %\n"),
        ("a\u202eb".encode(), "a\\u202eb"),
        (b"\xff\x08", "\ufffd\\x08"),
        (b"\x1b[31", "\\x1b[31"),
    ],
)
def test_controls_are_shown_and_not_obeyed(printed: bytes, seen: str) -> None:
    assert shown(printed) == seen


def test_parts_may_be_cut_anywhere() -> None:
    printed = "ü\r\n\x1b[1;31mred\x1b[0m €\r\n".encode()

    for cut in range(len(printed)):
        assert shown(printed[:cut], printed[cut:]) == "ü\nred €\n"


def test_what_is_complete_is_shown_at_once() -> None:
    assert SafeText().add(b"prompt> ") == "prompt> "


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_no_control_gets_through(parts: list[bytes]) -> None:
    controls = {one for one in shown(*parts) if unicodedata.category(one) == "Cc"}

    assert controls <= {"\n", "\t"}
