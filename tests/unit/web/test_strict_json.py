"""JSON that is read means one thing, or is refused."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.strict_json import NotJsonError, parse

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=20,
)


@given(_JSON)
def test_what_is_json_is_read(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=60))
def test_nothing_but_its_own_refusal_comes_of_bytes(raw: bytes) -> None:
    with suppress(NotJsonError):
        assert json.dumps(parse(raw), allow_nan=False)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": "\\u0000"}',
        b'{"a": "\xff"}',
        '{"a": "ä"}'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 60_000 + b"1" + b"}" * 60_000,
    ],
)
def test_what_is_none_or_means_two_things_is_refused(raw: bytes) -> None:
    with pytest.raises(NotJsonError):
        parse(raw)


def test_what_only_looks_like_a_nul_is_text() -> None:
    assert parse(rb'{"a": "\\u0000"}') == {"a": r"\u0000"}
