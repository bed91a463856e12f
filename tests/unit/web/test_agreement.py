"""What the processes of one instance must agree on."""

from pathlib import Path
from typing import Any

from web.agreement import PLACE, differing, facts_of
from web.config_sources import load

SECRETS = {"secret_key": "s", "api_key": "k"}


def facts(backend: str = "docker", secrets: dict[str, str] | None = None, **flags: Any) -> Any:
    settings = load(flags=flags, environ={})
    return facts_of(settings, backend=backend, secrets=secrets or SECRETS)


def test_what_each_may_have_of_its_own_is_not_compared() -> None:
    assert differing(facts(port=1, proxy_workers=4), facts(port=2, log_level="debug")) == []


def test_what_differs_is_named() -> None:
    ours = facts(base_url="/a/", launch_timeout="1m")
    theirs = facts(secrets={**SECRETS, "secret_key": "other"})

    assert differing(ours, theirs) == ["base_url", "launch_timeout", "secret_key"]


def test_a_setting_of_another_version_is_not_named_but_a_template_is() -> None:
    theirs = {**facts(), "new.setting": "1", "templates.new": "2"}

    assert differing(facts(), theirs) == ["templates.new"]


def test_processes_are_shared_in_one_place_alone(tmp_path: Path) -> None:
    here, there = (facts("process", state_dir=str(tmp_path / name)) for name in "ab")

    assert differing(here, there) == [PLACE]
    assert differing(facts(state_dir=str(tmp_path / "a")), facts()) == []


def test_no_secret_is_told() -> None:
    told = str(facts(secrets={"secret_key": "very secret", "api_key": "quite secret"}))

    assert "secret_key" in told
    assert "very secret" not in told
    assert "quite secret" not in told
