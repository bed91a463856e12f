"""Show how large pools should be: as tables, or as JSON."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from spawner.model import Template
from spawner.sizing import Plan
from spawner.units import size_text
from web.status_tables import show_table


def show_plans(plans: Mapping[str, tuple[Plan, Template]], console: Console) -> None:
    """Print for each pool what it must meet, how large it should be, and what that takes."""
    asked = Table("POOL", "RATE", "STAY", "START", "IN USE", "TURNED AWAY", "A DAY", "WAIT")
    sized = Table("POOL", "SIZE", "SPARE", "MEMORY", "OF SPARES", "CPUS", "OF SPARES")
    for name, (plan, template) in plans.items():
        demand = plan.demand
        asked.add_row(
            name,
            f"{demand.rate * 60:.4g}/min",
            f"{demand.stay.total_seconds() / 60:.4g}m",
            f"{demand.start.total_seconds():.3g}s",
            f"{plan.in_use:.1f}",
            _percent(plan.turned_away),
            f"{plan.turned_away_a_day:.3g}",
            _percent(plan.waiting),
        )
        sized.add_row(
            name,
            str(plan.size),
            str(plan.spare),
            size_text(plan.size * template.memory),
            size_text(plan.spare * template.memory),
            f"{plan.size * template.cpus:g}",
            f"{plan.spare * template.cpus:g}",
        )
    show_table(asked, console)
    console.print()
    show_table(sized, console)
    console.print(
        "\nMemory and processors are the limits of the templates: the most that can be used."
    )


def as_json(plan: Plan, template: Template) -> dict[str, Any]:
    """Give the same for programs, in base units."""
    demand = plan.demand
    return {
        "rate_per_second": demand.rate,
        "stay_seconds": demand.stay.total_seconds(),
        "start_seconds": demand.start.total_seconds(),
        "size": plan.size,
        "spare": plan.spare,
        "in_use": plan.in_use,
        "turned_away": plan.turned_away,
        "turned_away_a_day": plan.turned_away_a_day,
        "waiting": plan.waiting,
        "memory_bytes": plan.size * template.memory,
        "spare_memory_bytes": plan.spare * template.memory,
        "cpus": plan.size * template.cpus,
        "spare_cpus": plan.spare * template.cpus,
    }


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %"
