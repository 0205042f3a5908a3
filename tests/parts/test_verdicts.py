"""What verdicts promise, on streams whose truth is known: a small part of `benches/verdicts`, whose other
streams and monitors take minutes. Bounds are those of a run with room for chance; seeds are fixed."""

import sys

import pytest
from conftest import BINARY, ROOT

sys.path.insert(0, str(ROOT / "benches/verdicts"))

import measures
import monitors
import story
import streams

SEED = 20_261_127
PLANS = {plan.name: plan for plan in streams.plans()}


def counts_of(*names):
    """Added up over the streams."""
    total = measures.Counts()
    for name in names:
        stream = PLANS[name].stream(SEED)
        flags = monitors.Taffrail(BINARY).watch(stream)
        total += measures.count(stream, flags.alarms, joint=flags.joint)
    return total


def test_where_nothing_drifts_few_windows_alarm():
    names = ["iid-200x50", "iid-1000x50", "iid-200x500", "iid-1000x50-reference-2000", "correlated-1000x50"]
    counts = counts_of(*names)
    assert counts.quiet_windows == 100
    assert counts.alarmed_windows <= 4, counts
    assert counts.false_alarms <= 0.001 * counts.quiet_features, counts


def test_real_rows_in_random_order_do_not_drift():
    counts = counts_of("weather-shuffled-50")
    assert counts.quiet_windows == 20
    assert counts.alarmed_windows <= 1, counts


@pytest.mark.parametrize(
    "name",
    [
        "location 0.25-1000",
        "location 0.5-200",
        "scale 1.5-1000",
        "tail 2 %-1000",
        "category-1000",
        "new level 2 %-1000",
        "missing +10 %-1000",
        "unit ×2.54-1000",
    ],
)
def test_a_shift_is_found_at_once_and_nothing_before_it(name):
    counts = counts_of(name)
    assert counts.drifting_features == 6
    assert counts.early_alarmed <= 1, counts
    assert counts.found >= 0.85 * counts.drifted, counts
    assert counts.never_found == 0, counts
    assert counts.delay <= counts.drifting_features, counts
    assert counts.beside_alarms <= 0.01 * counts.beside, counts


def test_a_small_shift_is_found_by_windows_together():
    counts = counts_of("location 0.25-200", "location 0.1-1000")
    assert counts.found >= 0.5 * counts.drifted, counts
    assert counts.never_found <= 0.2 * counts.drifting_features, counts


def test_too_few_rows_alarm_nobody():
    counts = counts_of("iid-20x50")
    assert counts.alarmed_windows == 0, counts


@pytest.mark.parametrize("name", ["runs-of-10-1000", "reference-shuffled-1000"])
def test_rows_of_one_user_together_are_not_drift(name):
    counts = counts_of(name)
    assert counts.alarmed_windows <= 0.3 * counts.quiet_windows, counts


def test_a_shift_among_rows_of_one_user_is_found_all_the_same():
    counts = counts_of("runs-of-10-location 0.5")
    assert counts.never_found <= 1, counts
    assert counts.found >= 0.7 * counts.drifted, counts


def test_a_daily_cycle_is_not_drift_and_a_shift_on_it_is():
    quiet = counts_of("hourly-100")
    assert quiet.alarmed_windows <= 0.3 * quiet.quiet_windows, quiet
    drifting = counts_of("hourly-location 0.5")
    assert drifting.found >= 0.7 * drifting.drifted, drifting
    assert drifting.never_found <= 1, drifting


def test_days_that_differ_as_those_of_the_reference_do_are_not_drift():
    counts = counts_of("days-differ-0.2")
    assert counts.alarmed_windows <= 0.5 * counts.quiet_windows, counts
    assert counts.false_alarms <= 0.02 * counts.quiet_features, counts


def test_winter_is_not_summer_and_summer_is():
    months = {}
    for window in story.weather_windows(BINARY)[2]:
        months.setdefault(int(window["start"][5:7]), []).append(window["verdict"])
    winter = [verdict for month in (11, 12, 1, 2) for verdict in months[month]]
    summer = [verdict for month in (6, 7, 8, 9) for verdict in months[month]]
    assert winter == ["drifting"] * 8, months
    assert summer.count("stable") >= 7, months


def test_features_that_no_longer_go_together_are_told():
    counts = counts_of("uncoupled-1000")
    assert counts.joint_windows == 12
    assert counts.joint_found >= 0.7 * counts.joint_windows, counts
    assert counts.alarmed_windows <= 1, counts
