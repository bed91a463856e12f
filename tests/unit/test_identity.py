"""Secrets are derived: the same everywhere, and each for one purpose."""

import math

from spawner.identity import Tokens, new_id


def test_every_replica_derives_the_same() -> None:
    assert Tokens("s").session("abc") == Tokens("s").session("abc")
    assert Tokens("s").token("abc") == Tokens("s").token("abc")


def test_an_id_has_128_random_bits_and_is_letters_and_digits() -> None:
    ids = {new_id() for _ in range(1000)}
    seen = set().union(*ids)

    assert len(ids) == 1000
    assert all(one.isascii() and one.isalnum() and one == one.lower() for one in ids)
    assert {len(one) for one in ids} == {25}
    assert 25 * math.log2(len(seen)) >= 128


def test_no_secret_is_good_for_another_purpose_environment_or_instance() -> None:
    derived = [
        derive(environment_id)
        for tokens in (Tokens("s"), Tokens("t"))
        for derive in (tokens.token, tokens.session)
        for environment_id in ("abc", "abd")
    ]

    assert len(set(derived)) == 8
    assert {len(one) for one in derived} == {48}
