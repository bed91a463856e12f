"""Secrets are derived: the same everywhere, and each for one purpose."""

from spawner.identity import Tokens


def test_every_replica_derives_the_same() -> None:
    assert Tokens("s").session("abc") == Tokens("s").session("abc")
    assert Tokens("s").token("abc") == Tokens("s").token("abc")


def test_no_secret_is_good_for_another_purpose_environment_or_instance() -> None:
    derived = [
        derive(environment_id)
        for tokens in (Tokens("s"), Tokens("t"))
        for derive in (tokens.token, tokens.session)
        for environment_id in ("abc", "abd")
    ]

    assert len(set(derived)) == 8
    assert {len(one) for one in derived} == {48}
