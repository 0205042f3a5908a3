"""Each recording rule gives the number that its formula gives, computed here from the same rows."""

import math
import re
import subprocess

import pytest
from conftest import ROOT
from rules import DAY, FEATURE, FILES, HOUR, MODEL, RULES, VERSION, Unit, assert_all_hold, grows, holds, pod, series
from scipy import stats
from scipy.spatial.distance import jensenshannon

# One bin is empty live, one in the baseline, and one in both: that one is no degree of freedom.
BINS = ["[-inf,30)", "[30,50)", "[50,90)", "[90,inf)", "other", "null"]
BASELINE = [0.25, 0.5, 0.2, 0.05, 0.0, 0.0]
BASELINE_ROWS = 800
# Rows a minute in each bin, of two pods with the baseline `aa`, and of one with another.
PODS = {1: [10, 20, 20, 0, 0, 1], 2: [30, 20, 10, 0, 0, 0], 3: [0, 0, 50, 0, 0, 0]}
FLEET = [sum(rows) for rows in zip(PODS[1], PODS[2], strict=True)]
WINDOWS = {"5m": 5, "1h": HOUR, "1d": DAY}
A, B = {**VERSION, "hash": "aa"}, {**VERSION, "hash": "bb"}


def of_feature(hash_labels):
    return {**hash_labels, "feature": "age", "role": "input"}


def pods_with_bins(steps, step):
    """Three pods, and a fourth that changes its baseline again and again, whose rows belong to neither."""
    inputs = []
    for number, rows in PODS.items():
        a_hash = "bb" if number == 3 else "aa"
        inputs.append(holds("taffrail_baseline_hash", pod(number, hash=a_hash), 1, steps))
        inputs.append(holds("taffrail_baseline_rows", pod(number, state="given"), BASELINE_ROWS, steps))
        for label, share, count in zip(BINS, BASELINE, rows, strict=True):
            of_bin = pod(number, feature="age", role="input", bin=label)
            inputs.append(grows("taffrail_feature_rows_total", of_bin, count * step, steps))
            inputs.append(holds("taffrail_baseline_share", of_bin, share, steps))
    change = " ".join(["1 _"] * (steps // 2)), " ".join(["_ 1"] * (steps // 2))
    for a_hash, values in zip(("aa", "bb"), change, strict=True):
        inputs.append(series("taffrail_baseline_hash", pod(4, hash=a_hash), values))
    of_bin = pod(4, feature="age", role="input", bin=BINS[0])
    inputs.append(grows("taffrail_feature_rows_total", of_bin, 1000 * step, steps))
    inputs.append(holds("taffrail_baseline_share", of_bin, 0.9, steps))
    return inputs


def psi(live, base):
    floored = [(max(q, 1e-4), max(p, 1e-4)) for q, p in zip(live, base, strict=True)]
    return sum((q - p) * math.log(q / p) for q, p in floored)


def expected_of_the_fleet(window):
    """By name of rule: (labels, value) of each series, for baseline `aa`."""
    rows = [count * window for count in FLEET]
    n = sum(rows)
    live = [count / n for count in rows]
    freedom = sum(1 for q, p in zip(live, BASELINE, strict=True) if q + p > 0) - 1
    noise = 1 / n + 1 / BASELINE_ROWS
    one = {
        "taffrail:rows:increase": n,
        "taffrail:psi": psi(live, BASELINE),
        "taffrail:jensen_shannon": float(jensenshannon(live, BASELINE, base=2)),
        "taffrail:psi_freedom": freedom,
        "taffrail:psi_bias": freedom * noise,
        "taffrail:psi_corrected": psi(live, BASELINE) - freedom * noise,
        "taffrail:psi_chance": noise * float(stats.chi2.ppf(1 - 1e-4, freedom)),
    }
    by_bin = {"taffrail:feature_rows:increase": rows, "taffrail:feature_share": live}
    return one, by_bin


def near(expression, value, tolerance=1e-9):
    """A query that gives a series where the expression is the value, and none where it is not."""
    return f"abs({expression} - {value!r}) <= {tolerance * max(abs(value), 1e-3)!r}"


def expect_value(unit, record, labels, value, tolerance=1e-9):
    """Exactly one series, with these labels and this value: promtool itself compares floats bit by bit."""
    unit.expect(f"count({record})", ({}, 1))
    unit.expect(f"count({near(record, value, tolerance)})", ({}, 1))
    unit.expect(f"count by ({','.join(labels)}) ({record})", (labels, 1))


def name_of(rule, window):
    return f"{rule}{window}" if rule.endswith("increase") else f"{rule}:{window}"


@pytest.mark.parametrize("window", WINDOWS)
def test_a_fleets_distances_are_those_of_all_its_rows(window, tmp_path):
    # An hour in whole five minutes, and a day in whole hours, are full a little later than they are long. Rules
    # run off the minute, as in a real Prometheus: before version 3 a sub-query would count both its ends.
    at = {"5m": 11, "1h": 2 * HOUR + 1, "1d": DAY + 2 * HOUR + 1}[window]
    unit = Unit(f"fleet {window}", pods_with_bins(at + 1, 1), at, every="239s" if window == "1d" else "59s")
    one, by_bin = expected_of_the_fleet(WINDOWS[window])
    for rule, value in one.items():
        # The chi-squared quantile is Wilson and Hilferty's approximation of it.
        tolerance = 0.03 if rule == "taffrail:psi_chance" else 1e-9
        record = f'{name_of(rule, window)}{{hash="aa"}}'
        expect_value(unit, record, of_feature(A), value, tolerance)
        # Pod 3 has another baseline: it makes a fleet of its own, and adds nothing to this one.
        unit.expect(f'count({name_of(rule, window)}{{hash="bb"}})', ({}, 1))
    for rule, values in by_bin.items():
        for label, value in zip(BINS, values, strict=True):
            record = f'{name_of(rule, window)}{{hash="aa",bin="{label}"}}'
            expect_value(unit, record, {**of_feature(A), "bin": label}, value)
    assert_all_hold(tmp_path, [unit])


def test_baselines_are_taken_from_pods_that_keep_theirs(tmp_path):
    unit = Unit("baselines", pods_with_bins(12, 1), 11)
    settled = [{**pod(number, hash="bb" if number == 3 else "aa")} for number in PODS]
    for one in settled:
        del one["pod"]
    unit.expect("taffrail:baseline:settled", *[({"__name__": "taffrail:baseline:settled", **one}, 1) for one in settled])
    rows = "taffrail:baseline_rows:max"
    unit.expect(rows, *[({"__name__": rows, **labels}, BASELINE_ROWS) for labels in (A, B)])
    for label, share in zip(BINS, BASELINE, strict=True):
        unit.expect(
            f'taffrail:baseline_share:max{{hash="aa",bin="{label}"}}',
            ({"__name__": "taffrail:baseline_share:max", **of_feature(A), "bin": label}, share),
        )
    assert_all_hold(tmp_path, [unit])


def test_a_restart_loses_no_rows_and_adds_none(tmp_path):
    """A counter that starts again from 0 in the middle of the window."""
    inputs = [holds("taffrail_baseline_hash", pod(1, hash="aa"), 1, 6)]
    of_bin = pod(1, feature="age", role="input", bin="null")
    inputs.append(series("taffrail_feature_rows_total", of_bin, [100, 110, 120, 10, 20, 30]))
    unit = Unit("restart", inputs, 5)
    expect_value(unit, "taffrail:feature_rows:increase5m", {**of_feature(A), "bin": "null"}, 50)
    assert_all_hold(tmp_path, [unit])


def test_no_rows_are_no_distance(tmp_path):
    unit = Unit("idle", [one | {"values": re.sub(r"^0\+\d+x", "0+0x", one["values"])} for one in pods_with_bins(12, 1)], 11)
    for rule in ("feature_share:5m", "psi:5m", "jensen_shannon:5m", "psi_corrected:5m", "psi_chance:5m"):
        unit.expect(f"taffrail:{rule}")
    assert_all_hold(tmp_path, [unit])


def test_quality_is_of_the_last_quarter_of_an_hour(tmp_path):
    inputs = [holds("taffrail_baseline_share", pod(1, feature="age", role="input", bin="null"), 0.1, 40)]
    flagged = {"null": 30, "type_error": 6, "out_of_bounds": 4, "new_category": 0}
    for number in (1, 2):
        of = pod(number, feature="age", role="input")
        # Ten times as many before: what was since the start must not count.
        rows = [1000 * minute for minute in range(20)] + [19_000 + 100 * minute for minute in range(1, 21)]
        inputs.append(series("taffrail_quality_rows_checked_total", of, rows))
        for check, count in flagged.items():
            inputs.append(grows("taffrail_quality_rows_flagged_total", {**of, "check": check}, count, 40))
    unit = Unit("quality", inputs, 38)
    expect_value(unit, "taffrail:quality_rows:increase15m", FEATURE, 3000)
    for check, count in flagged.items():
        labels = {**FEATURE, "check": check}
        expect_value(unit, f'taffrail:quality_ratio:15m{{check="{check}"}}', labels, count / 100)
    expect_value(unit, "taffrail:baseline_null:share", FEATURE, 0.1)
    expect_value(unit, "taffrail:null_rise:15m", FEATURE, 0.2)
    assert_all_hold(tmp_path, [unit])


def test_coverage_is_what_analysis_got_of_all(tmp_path):
    outcomes = {"kept": 30, "sampled_out": 60, "dropped": 10, "truncated": 5, "undecodable": 5}
    inputs = [
        grows("taffrail_capture_exchanges_total", pod(number, outcome=outcome), count, 20)
        for number in (1, 2)
        for outcome, count in outcomes.items()
    ]
    unit = Unit("coverage", inputs, 18)
    expect_value(unit, "taffrail:coverage:15m", MODEL, 0.3)
    assert_all_hold(tmp_path, [unit])


def performance_of(number, hours, gauges, labels_an_hour, restart=None):
    """Cumulative measures of labels that come evenly; `gauges` gives each hour's own mean of each measure."""
    joined, sums = [], {name: [] for name in gauges}
    count, total = 0, dict.fromkeys(gauges, 0.0)
    for hour in range(hours + 1):
        if hour == restart:
            count, total = 0, dict.fromkeys(gauges, 0.0)
        count += labels_an_hour
        joined.append(count)
        for name, of_hour in gauges.items():
            total[name] += labels_an_hour * of_hour(hour)
            sums[name].append(total[name] / count)
    inputs = [series("taffrail_labels_received_total", pod(number, outcome="joined"), joined)]
    for name, values in sums.items():
        inputs.append(series(f"taffrail_performance_{name}", pod(number, segment="all"), values))
    return inputs


def test_performance_is_that_of_the_last_days_labels(tmp_path):
    """One pod runs on, one restarted ten hours ago and knows only what came since."""
    hours = 9 * 24
    gauges = {
        "accuracy": lambda hour: 0.9 if hour <= hours - 24 else 0.7,
        "mae": lambda hour: 2.0 if hour <= hours - 24 else 3.0,
        "mse": lambda hour: 9.0 if hour <= hours - 24 else 25.0,
    }
    inputs = performance_of(1, hours, gauges, 10) + performance_of(2, hours, gauges, 10, restart=hours - 10)
    unit = Unit("performance", inputs, hours * 60, step=60, every="1h")
    expect_value(unit, 'taffrail:labels:joined{instance="10.0.0.2:9464"}', {**VERSION, "job": "ml/taffrail"}, 110)
    expect_value(unit, "taffrail:labels:1d", VERSION, 240 + 110)
    for measure, value in (("accuracy", 0.7), ("mae", 3.0), ("mse", 25.0), ("rmse", 5.0)):
        labels = {**VERSION, "measure": measure}
        expect_value(unit, f'taffrail:performance:1d{{measure="{measure}"}}', labels, value, 1e-9)
    sums = 'taffrail:performance:sum{instance="10.0.0.2:9464",measure="%s"}'
    for measure, value in (("accuracy", 77), ("mae", 330), ("mse", 2750)):
        expect_value(unit, sums % measure, {**VERSION, "measure": measure}, value)
    for measure, value in (("accuracy", 0.9), ("mae", 2.0), ("mse", 9.0), ("rmse", 3.0)):
        record = f'taffrail:performance:usual{{measure="{measure}"}}'
        expect_value(unit, record, {**MODEL, "measure": measure}, value)
    assert_all_hold(tmp_path, [unit])


def test_labels_are_counted_over_all_pods(tmp_path):
    inputs = []
    for number in (1, 2):
        inputs.append(grows("taffrail_labels_received_total", pod(number, outcome="joined"), 3, 10))
        for limit, count in (("86400", 2), ("+Inf", 3)):
            inputs.append(grows("taffrail_labels_delay_seconds_bucket", pod(number, le=limit), count, 10))
    unit = Unit("labels", inputs, 8)
    expect_value(unit, "taffrail:labels_received:increase5m", {**MODEL, "outcome": "joined"}, 30)
    for limit, count in (("86400", 20), ("+Inf", 30)):
        record = f'taffrail:labels_delay_bucket:increase5m{{le="{limit}"}}'
        expect_value(unit, record, {**MODEL, "le": limit}, count)
    assert_all_hold(tmp_path, [unit])


# Requests a minute, by what became of them: (status, error type, requests, of which under half a second).
OUTCOMES = [
    ("200", "", 900, 850),
    ("404", "", 40, 40),
    ("500", "500", 20, 20),
    ("502", "upstream_connect", 10, 10),
    ("200", "upstream_body_aborted", 5, 5),
    ("", "client_gone", 25, 25),
]


def requests(outcomes, steps, number=1):
    inputs = []
    for status, error, count, fast in outcomes:
        labels = {"http_route": "/invocations"}
        labels |= {"http_response_status_code": status} if status else {}
        labels |= {"error_type": error} if error else {}
        name = "http_server_request_duration_seconds"
        inputs.append(grows(f"{name}_count", pod(number, **labels), count, steps))
        for limit, below in (("0.25", fast / 2), ("0.5", fast), ("1.0", count), ("+Inf", count)):
            inputs.append(grows(f"{name}_bucket", pod(number, le=limit, **labels), below, steps))
    return inputs


@pytest.mark.parametrize(("window", "every"), [("5m", "1m"), ("30m", "1m"), ("1h", "1m"), ("2h", "1m"), ("6h", "5m"), ("1d", "30m"), ("3d", "30m")])
def test_failures_and_slow_answers_are_shares_of_requests(window, every, tmp_path):
    minutes = {"m": 1, "h": HOUR, "d": DAY}[window[-1]] * int(window[:-1])
    at = minutes + 30
    unit = Unit(f"slo {window}", requests(OUTCOMES, at), at, every=every)
    # What a client did wrong or gave up on is no failure; a status and an error type are one failure, not two.
    expect_value(unit, f"taffrail:failure_ratio:{window}", MODEL, (20 + 10 + 5) / 1000)
    expect_value(unit, f"taffrail:slow_ratio:{window}", MODEL, 50 / 940)
    for record, rate in (("requests", 1000), ("request_failures", 35), ("requests_answered", 940), ("requests_slow", 50)):
        expect_value(unit, f"taffrail:{record}:rate5m", MODEL, rate / 60)
    assert_all_hold(tmp_path, [unit])


def test_a_window_forgets_what_came_before_it(tmp_path):
    """Failures that ended an hour and ten minutes ago are in two hours, and no longer in one."""
    count = "http_server_request_duration_seconds_count"
    failed = [min(minute, 60) for minute in range(131)]
    bad = pod(1, http_response_status_code="500", error_type="500")
    inputs = [grows(count, pod(1, http_response_status_code="200"), 99, 130), series(count, bad, failed)]
    unit = Unit("past", inputs, 130)
    unit.expect("taffrail:failure_ratio:1h", ({"__name__": "taffrail:failure_ratio:1h", **MODEL}, 0))
    unit.expect("count(taffrail:failure_ratio:2h > 0.003)", ({}, 1))
    assert_all_hold(tmp_path, [unit])


def thresholds_in_readme():
    text = (ROOT / "k8s/prometheus/README.md").read_text()
    return {name: float(value) for name, value in re.findall(r"^\| `([a-z_]+)` \| ([\d.]+) \|", text, re.MULTILINE)}


def test_thresholds_are_those_that_the_readme_tells(tmp_path):
    inputs = [holds("taffrail_capture_coverage", pod(number), 1, 2) for number in (1, 2)]
    unit = Unit("thresholds", inputs, 1)
    told = thresholds_in_readme()
    assert {f"taffrail:threshold:{name}" for name in told} == {
        rule["record"] for rule in RULES if rule.get("record", "").startswith("taffrail:threshold:")
    }
    for name, value in told.items():
        record = f"taffrail:threshold:{name}"
        unit.expect(record, ({"__name__": record, **MODEL}, value))
    assert_all_hold(tmp_path, [unit])


def test_promtool_finds_no_fault():
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", *FILES], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_recording_rule_has_a_number_here():
    text = (ROOT / "tests/parts/test_rules.py").read_text()
    for rule in (rule["record"] for rule in RULES if "record" in rule):
        stem = re.sub(r":(5m|30m|1h|2h|6h|1d|3d)$|(?<=increase)(5m|1h|1d)$", "", rule)
        tested = rule in text or stem in text or stem.removeprefix("taffrail:").removesuffix(":rate5m") in text
        assert tested or rule.startswith("taffrail:threshold:"), rule
