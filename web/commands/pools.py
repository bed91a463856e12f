"""``tmpenv pools``: how large pools should be; :mod:`web.commands.pool_sizes` sets it."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import typer

from spawner.model import Template
from spawner.sizing import Demand, plan
from spawner.units import parse_duration, parse_rate, parse_share, parse_size
from web.commands.asking import EPILOG
from web.commands.options import AsJson, Config
from web.commands.pool_sizes import list_pools, remove_pool, set_pool
from web.config import BUILTIN
from web.config_errors import ConfigError
from web.config_sources import load
from web.start_errors import StartError, told_in_one_line

T = TypeVar("T")
_NEEDED = ("rate", "stay", "start")

pools = typer.Typer(
    help="Plan, list, set and remove pools.", no_args_is_help=True, rich_markup_mode=None
)
pools.command("list", epilog=EPILOG)(list_pools)
pools.command("set", epilog=EPILOG)(set_pool)
pools.command("remove", epilog=EPILOG)(remove_pool)


def _flag(text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, show_default=bool(more.pop("shows", False)), **more)


Rate = Annotated[str | None, _flag("Visitors in the busiest hour: 3/min, 200/h, 0.5/s, 1000/day")]
Stay = Annotated[str | None, _flag("Time from hand-out to the end, idle time included: 25m")]
Start = Annotated[str | None, _flag("Time that a start takes: 4s")]
FullRisk = Annotated[
    str, _flag("Share of visitors who may be turned away by a full pool", shows=True)
]
WaitRisk = Annotated[str, _flag("Share of visitors who may wait for a start", shows=True)]
Name = Annotated[str | None, _flag("Which pool; with --prometheus all that were used where unset")]
Memory = Annotated[str | None, _flag("Memory of one environment; the template's limit where unset")]
Cpus = Annotated[
    float | None, _flag("Processors of one environment; the template's limit where unset")
]
Prometheus = Annotated[
    str | None, _flag("Prometheus to read from what no flag gives: http://127.0.0.1:9090")
]
Days = Annotated[float, _flag("How far back it is read", shows=True, min=0.1, max=365)]


@pools.command("plan")
def plan_pools(
    *,
    rate: Rate = None,
    stay: Stay = None,
    start: Start = None,
    full_risk: FullRisk = "0.1%",
    wait_risk: WaitRisk = "1%",
    template: Name = None,
    memory: Memory = None,
    cpus: Cpus = None,
    prometheus: Prometheus = None,
    days: Days = 7,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Compute size and spare of a pool from who comes (docs/operations.md)."""
    with told_in_one_line():
        given = _given(rate=rate, stay=stay, start=start)
        demands = _demands(given, prometheus, days, template)
        risks = {
            "full_risk": _read("full-risk", parse_share, full_risk),
            "wait_risk": _read("wait-risk", parse_share, wait_risk),
        }
        limits = {} if memory is None else {"memory": _read("memory", parse_size, memory)}
        limits |= {} if cpus is None else {"cpus": cpus}
        templates = load(config=config).templates
        plans = {}
        for name, demand in demands.items():
            recipe = templates.get(name, Template(name=BUILTIN)).model_copy(update=limits)
            try:
                plans[name] = (plan(demand, **risks), recipe)
            except ValueError as error:
                raise ConfigError([f"tmpenv: {name}: {error}"]) from error
        _show(plans, as_json=as_json)


def _show(plans: dict[str, Any], *, as_json: bool) -> None:
    # Imported here: rich takes longer to load than all the rest of this command.
    from web import plan_tables  # noqa: PLC0415
    from web.status_tables import console_for_output  # noqa: PLC0415

    if as_json:
        shown = {name: plan_tables.as_json(*planned) for name, planned in plans.items()}
        typer.echo(json.dumps({"pools": shown}, indent=2))
        return
    plan_tables.show_plans(plans, console_for_output())


def _given(*, rate: str | None, stay: str | None, start: str | None) -> dict[str, Any]:
    """Read those of the three that were given."""
    found: dict[str, Any] = {}
    if rate is not None:
        found["rate"] = _read("rate", parse_rate, rate)
    for flag, text in (("stay", stay), ("start", start)):
        if text is not None:
            found[flag] = _read(flag, _duration, text)
    return found


def _demands(
    given: dict[str, Any], prometheus: str | None, days: float, template: str | None
) -> dict[str, Demand]:
    """Give what each pool must meet; flags go before what Prometheus knows."""
    if prometheus is None:
        if missing := [f"--{flag}" for flag in _NEEDED if flag not in given]:
            raise ConfigError([f"tmpenv: give {', '.join(missing)}, or --prometheus"])
        return {template or BUILTIN: Demand(**given)}
    # Imported here, so that the calculation alone need not load aiohttp.
    from web.past_week import read_demands  # noqa: PLC0415

    known = read_demands(prometheus, days=days)
    wanted = [template] if template else sorted(known)
    if not wanted or not known.keys() >= set(wanted):
        raise StartError(
            f"{prometheus} knows of no visitors of {template or 'any pool'} within {days:g} days; "
            f"give {', '.join(f'--{flag}' for flag in _NEEDED)} instead"
        )
    return {name: _with(known[name], given) for name in wanted}


def _with(demand: Demand, given: dict[str, Any]) -> Demand:
    known = {"rate": demand.rate, "stay": demand.stay, "start": demand.start}
    return Demand(**{**known, **given})


def _duration(text: str) -> timedelta:
    duration = parse_duration(text)
    assert isinstance(duration, timedelta)
    return duration


def _read(flag: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError([f"tmpenv: --{flag}: {error}"]) from error
