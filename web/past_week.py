"""Read from Prometheus how pools were used: who came, how long they stayed, how starts went.

The demand that a pool must meet is that of its busiest hour. The stay follows from
Little's law: in use on average = handed out in a second x stay. Names and labels of the
metrics stand in docs/metrics.md.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

import aiohttp

from spawner.sizing import Demand
from web.start_errors import StartError

TIMEOUT_S = 60.0
_HOUR_S = 3600
_DAY_S = 86_400
#: Prometheus answers with 11 000 points at most.
_MOST_POINTS = 10_000
_SHORTEST_STEP_S = 300

#: Each by template. Counters and histograms are each replica's own; gauges are the same on all.
_ARRIVED = 'sum by (template) (increase(tmpenv_handouts_total{outcome!="limited"}[1h]))'
_HANDED_OUT = 'sum by (template) (increase(tmpenv_handouts_total{outcome=~"spare|launched"}[1h]))'
_IN_USE = 'max by (template) (tmpenv_pool_environments{state="in_use"})'
_START_S = "sum by (template) (increase(tmpenv_ready_duration_seconds_sum[1h]))"
_STARTS = "sum by (template) (increase(tmpenv_ready_duration_seconds_count[1h]))"

Samples = Mapping[str, list[float]]


def read_demands(url: str, *, days: float) -> dict[str, Demand]:
    """Give the demand of each template's busiest hour within the last days, by its name.

    Templates from which nothing was handed out, or none started, are left out.

    Raises:
        StartError: No answer, or none that can be used; the text says what to do.
    """
    return asyncio.run(_read(url.rstrip("/"), days))


async def _read(url: str, days: float) -> dict[str, Demand]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    queries = (_ARRIVED, _HANDED_OUT, _IN_USE, _START_S, _STARTS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            answers = await asyncio.gather(*(_ask(session, url, each, days) for each in queries))
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise StartError(f'"{url}" is no address; give --prometheus http://host:9090') from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise StartError(
            f"no Prometheus answers at {url}; give another with --prometheus"
        ) from error
    arrived, handed_out, in_use, start_s, starts = answers
    found = {}
    for template in sorted(arrived):
        taken, begun = sum(handed_out.get(template, ())), sum(starts.get(template, ()))
        used = in_use.get(template, ())
        if not (taken and begun and used):
            continue
        a_second = taken / len(handed_out[template]) / _HOUR_S
        found[template] = Demand(
            rate=max(arrived[template]) / _HOUR_S,
            stay=timedelta(seconds=sum(used) / len(used) / a_second),
            start=timedelta(seconds=sum(start_s.get(template, ())) / begun),
        )
    return found


async def _ask(session: aiohttp.ClientSession, url: str, query: str, days: float) -> Samples:
    """Ask for the values of a query over the last days, by template."""
    end = time.time()
    step = max(_SHORTEST_STEP_S, days * _DAY_S / _MOST_POINTS)
    form = {"query": query, "start": str(end - days * _DAY_S), "end": str(end), "step": str(step)}
    async with session.post(f"{url}/api/v1/query_range", data=form) as response:
        try:
            answer = json.loads(await response.read())
            results = answer["data"]["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise StartError(
                f"what answers at {url} ({response.status}) is no Prometheus; "
                "give another with --prometheus"
            ) from error
    samples: defaultdict[str, list[float]] = defaultdict(list)
    for series in results:
        values = [float(value) for _, value in series["values"]]
        samples[series["metric"].get("template", "")] += values
    return samples
