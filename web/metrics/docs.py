"""Describe every metric, from the metrics themselves.

``python -m web.metrics.docs`` prints the table of ``docs/metrics.md``; a test holds the two
together.
"""

import os
import sys
from collections.abc import Iterator

from prometheus_client import Metric

from proxy.counts import Counts
from proxy.lag import Lag
from spawner.model import Phase, Pool, PoolStatus
from web.metrics.data_path import (
    data_path_families,
    environments_and_application,
    process_families,
)
from web.metrics.families import lag_family
from web.metrics.instance import (
    build_family,
    builds_family,
    instance_families,
    pool_families,
)
from web.metrics.measures import Measures
from web.metrics.serving import bare_registry


def table() -> str:
    """Give the table of ``docs/metrics.md``."""
    rows = [
        f"| `{_name(family)}` | {family.type} | {_labels(family)} | {family.documentation} |"
        for family in sorted(every_family(), key=lambda family: family.name)
    ]
    return "\n".join(("| metric | type | labels | |", "|---|---|---|---|", *rows))


def every_family() -> Iterator[Metric]:
    """Give every family that ``tmpenv serve`` tells, as it is for one template at the start."""
    registry = bare_registry()
    Measures(registry).begin(["course"])
    yield from registry.collect()
    yield build_family("docker")
    yield from instance_families(is_store_up=True, is_keeping=True)
    status = PoolStatus(template="course", counts={Phase.READY: 0}, waiting=0)
    yield from pool_families({"course": Pool()}, [status])
    yield builds_family(running=0, waiting=0)
    counts = Counts()
    yield from data_path_families(counts, environments_and_application(counts))
    yield from process_families(processes=1, replaced=0)
    yield lag_family({"data_path": (counts.lags, counts.lag_s), "control": (Lag().counts, 0.0)})


def _name(family: Metric) -> str:
    return family.name + "_total" * (family.type == "counter")


def _labels(family: Metric) -> str:
    values: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le" and value not in values.setdefault(label, []):
                values[label].append(value)
    return "; ".join(_label(label, known) for label, known in values.items())


def _label(label: str, values: list[str]) -> str:
    # What differs from one tmpenv to the next says nothing here.
    if label in ("template", "code", "version", "python", "backend"):
        return f"`{label}`"
    return f"`{label}`: {', '.join(values)}"


if __name__ == "__main__":
    sys.stdout.write(table() + os.linesep)
