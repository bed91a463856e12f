"""Decide what an import changes, and say it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from web.recipe_checks import Recipes


@dataclass(frozen=True, slots=True)
class Change:
    """What an import does about one template."""

    name: str
    line: str
    #: What is sent; None where nothing is.
    body: dict[str, Any] | None = None
    is_left: bool = False

    @property
    def is_made(self) -> bool:
        """Say whether there is something to send."""
        return self.body is not None


def changes(wanted: Recipes, shown: list[dict[str, Any]], *, replace: bool) -> list[Change]:
    """Compare the recipes of a file with those that a server has."""
    there = {one["name"]: one for one in shown}
    return [_change(wanted, name, there.get(name), replace=replace) for name in wanted.templates]


def _change(
    wanted: Recipes, name: str, there: Mapping[str, Any] | None, *, replace: bool
) -> Change:
    parts: dict[str, Any] = {
        "template": wanted.templates[name].model_dump(mode="json", exclude_defaults=True)
    }
    # Without a pool in the file, the template keeps the one it has.
    if name in wanted.pools:
        parts["pool"] = wanted.pools[name].model_dump(mode="json", exclude_defaults=True)
    if there is None:
        return Change(name, f"{name}: added", {**parts, "version": 0})
    differing = [
        key if part == "template" else f"pool.{key}"
        for part, mine in parts.items()
        for key in sorted(mine.keys() | there[part].keys())
        if mine.get(key) != there[part].get(key)
    ]
    if not differing:
        return Change(name, f"{name}: same")
    listed = ", ".join(differing)
    if there["declared"]:
        line = f"{name}: refused, the configuration of the server declares it ({listed})"
        return Change(name, line, is_left=True)
    if not replace:
        return Change(name, f"{name}: left, --replace would change {listed}", is_left=True)
    return Change(name, f"{name}: changed {listed}", {**parts, "version": there["version"]})
