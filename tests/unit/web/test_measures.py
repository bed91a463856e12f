"""What the core tells becomes series, and only so many."""

from prometheus_client import CollectorRegistry

from proxy.counts import Counts
from web.metrics.data_path import data_path_families
from web.metrics.measures import Measures


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_a_template_that_is_added_later_has_its_series_and_no_other_loses_a_count() -> None:
    registry = CollectorRegistry()
    measures = Measures(registry)
    measures.begin(["one"])
    measures.refused("one", "full")

    measures.begin(["one", "two"])

    assert value(registry, "tmpenv_turned_away_total", template="one") == 1
    assert value(registry, "tmpenv_turned_away_total", template="two") == 0


def test_an_error_turns_nobody_away() -> None:
    registry = CollectorRegistry()
    measures = Measures(registry)
    for why in ("full", "limited", "error"):
        measures.refused("t", why)

    assert value(registry, "tmpenv_turned_away_total", template="t") == 2
    for why in ("full", "limited", "error"):
        assert value(registry, "tmpenv_handouts_total", template="t", outcome=why) == 1


def test_a_hand_out_is_timed_in_the_bucket_that_is_promised() -> None:
    registry = CollectorRegistry()
    measures = Measures(registry)

    measures.handed_out("t", "spare", 0.012)

    def within(bound: str) -> float | None:
        name = "tmpenv_handout_duration_seconds_bucket"
        return value(registry, name, template="t", outcome="spare", le=bound)

    assert (within("0.01"), within("0.015")) == (0, 1)


def test_codes_that_environments_make_up_are_one_series() -> None:
    made_up = {str(code): 1 for code in range(600, 1000)}
    counts = Counts(environment_answers={"200": 5, **made_up})

    families = data_path_families(counts, {"environment": counts.environment_answers})

    (answers,) = (one for one in families if one.name == "tmpenv_proxy_answers")
    numbers = {
        sample.labels["code"]: sample.value
        for sample in answers.samples
        if sample.labels["class"] == "environment"
    }
    assert (numbers["200"], numbers["other"]) == (5, 400)
    assert len(numbers) < 20
