"""Make families of one series, and that of how late event loops are."""

from collections.abc import Mapping
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from proxy.lag import NAMES

#: How often which bound was kept, and the sum of all, by the part that was measured.
Lags = Mapping[str, tuple[Mapping[str, int], float]]


def gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    """Make a gauge of one series."""
    return GaugeMetricFamily(name, about, value=value)


def counter(name: str, about: str, value: float) -> CounterMetricFamily:
    """Make a counter of one series."""
    return CounterMetricFamily(name, about, value=value)


def lag_family(lags: Lags) -> Metric:
    """Say how late event loops were, by part: ``control`` or ``data_path``."""
    family = HistogramMetricFamily(
        "tmpenv_event_loop_lag_seconds",
        "How late what was due came to its turn, measured four times a second in each process",
        labels=["part"],
    )
    for part, (counts, sum_s) in lags.items():
        numbers = accumulate(counts.get(name, 0) for name in NAMES)
        family.add_metric([part], list(zip(NAMES, map(float, numbers), strict=True)), sum_s)
    return family
