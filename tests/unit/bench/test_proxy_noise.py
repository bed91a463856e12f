"""When a measure tells nothing."""

import pytest

from bench.proxy.noise import MAX_OTHERS, MAX_SPREAD, Rounds, spread, why_noisy, why_untold

CALM = Rounds([10.0, 10.2, 10.4, 10.1], [0.0, 0.02, 0.01, 0.03])
CROWDED = Rounds([10.0, 10.2, 10.4, 10.1], [0.3, 0.5, 0.4, 0.02])
SCATTERED = Rounds([10.0, 15.0, 20.0, 12.0], [0.0, 0.0, 0.0, 0.0])


def test_the_spread_is_that_of_the_middle_half() -> None:
    # The quartiles of these five are the second and the fourth.
    assert spread([10, 9, 11, 1, 100]) == pytest.approx(2 / 10)
    assert spread([5, 5, 5]) == 0
    assert spread([7]) == 0


def test_one_wild_round_among_calm_ones_is_not_noise() -> None:
    assert why_noisy(Rounds([10, 10, 10, 10, 90], [0, 0, 0, 0, 0.9])) == ""


def test_rounds_that_lie_apart_are_noise() -> None:
    assert why_noisy(CALM) == ""
    assert why_noisy(SCATTERED) == "rounds 35% apart"


def test_a_machine_that_others_use_is_noise() -> None:
    assert why_noisy(CROWDED) == "others had 35% of the machine"


def test_the_bounds_themselves_are_no_noise_yet() -> None:
    width = MAX_SPREAD * 10
    at_bound = [10 - width / 2, 10 - width / 2, 10, 10 + width / 2, 10 + width / 2]

    assert why_noisy(Rounds(at_bound, [MAX_OTHERS] * 5)) == ""


@pytest.mark.parametrize("ratios", [[1.9, 2.1, 1.9], [1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
def test_calm_measures_are_always_judged(ratios: list[float]) -> None:
    assert why_untold(ratios, 2.0, is_ceiling=True, measures=(CALM, CALM)) == ""


@pytest.mark.parametrize("noisy", [CROWDED, SCATTERED])
def test_noisy_measures_are_judged_where_every_round_says_the_same(noisy: Rounds) -> None:
    for ratios in ([1.2, 1.9, 1.5], [2.1, 2.2, 9.0]):
        assert why_untold(ratios, 2.0, is_ceiling=True, measures=(CALM, noisy)) == ""
        assert why_untold(ratios, 2.0, is_ceiling=False, measures=(CALM, noisy)) == ""


def test_noisy_measures_whose_rounds_disagree_tell_nothing() -> None:
    for is_ceiling in (True, False):
        assert why_untold(
            [1.9, 2.1, 1.9], 2.0, is_ceiling=is_ceiling, measures=(SCATTERED, CROWDED)
        ) == ("others had 35% of the machine; rounds 35% apart")
