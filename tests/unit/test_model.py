"""Templates, orders and the table of phases."""

import pytest
from pydantic import ValidationError

from spawner.backends.base import Order
from spawner.lifecycle import COMING, ENDING, PRESENT, may_follow
from spawner.model import Address, Phase, Pool, Template


def test_a_recipe_that_runs_something_else_has_another_digest() -> None:
    template = Template(name="t", image="a")

    assert template.digest == Template(name="t", image="a", title="Other words").digest
    assert template.digest != Template(name="t", image="b").digest
    assert template.digest != Template(name="t", image="a", env={"A": "1"}).digest


@pytest.mark.parametrize("path", ["/lab", "../x", "a/../../b", ".."])
def test_a_template_cannot_send_visitors_outside(path: str) -> None:
    with pytest.raises(ValidationError):
        Template(name="t", urlpath=path)


def test_a_disk_limit_is_there_by_default_and_none_is_too_small_to_live_in() -> None:
    assert Template(name="t").disk == 10 << 30
    assert Template.model_validate({"name": "t", "disk": "512M"}).disk == 512 << 20
    assert Template(name="t", disk=1 << 30).digest != Template(name="t").digest
    with pytest.raises(ValidationError, match="greater than or equal"):
        Template(name="t", disk=1 << 10)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        (None, None),
        ("run --port {port} '{x}'", ["/bin/sh", "-c", "run --port 80 '{x}'"]),
        (("run", "{ip}:{port}{base_path}", "{{id}}"), ["run", "0.0.0.0:80/user/abc/", "{abc}"]),
    ],
)
def test_placeholders_of_a_command_are_filled_once(command: object, argv: object) -> None:
    template = Template.model_validate({"name": "t", "command": command})

    assert (
        Order(id="abc", base_path="/user/abc/", template=template, token="{id}").command(
            ip="0.0.0.0", port=80
        )
        == argv
    )


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    template = Template(name="t", command=("{token}",))

    assert Order(id="abc", base_path="/user/abc/", template=template, token="{id}").command(
        ip="", port=1
    ) == ["{id}"]


def test_an_order_does_not_show_its_token() -> None:
    assert "s3cret" not in repr(
        Order(id="a", base_path="/", template=Template(name="t"), token="s3cret")
    )


def test_a_pool_keeps_as_many_spares_as_its_size_unless_told() -> None:
    assert Pool(size=7).target == 7
    assert Pool(size=7, spare=2).target == 2
    assert Pool(size=7, spare=9).target == 7


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert str(Address("::1", 80)) == "[::1]:80"


def test_only_an_ending_environment_can_have_stopped() -> None:
    assert [phase for phase in Phase if may_follow(phase, Phase.STOPPED)] == [Phase.DRAINING]
    assert set(COMING) | set(ENDING) | {Phase.READY, Phase.ASSIGNED} == set(PRESENT)
