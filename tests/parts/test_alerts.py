"""Each alert fires when it should, not just below, and what it says is complete."""

import json
import re

import pytest
from rules import DAY, FEATURE, HOUR, MODEL, RULES, VERSION, Unit, assert_all_hold, grows, holds, pod, promtool, series
from test_rules import BASELINE_ROWS, performance_of, psi

ALERTS = [rule for rule in RULES if "alert" in rule]
CASES = []


def case(alert, claim, inputs, at, fires=None, step=1, every="1m", **which):
    """`fires` are the labels of the one alert expected, beside severity; `which` tells rules of one name apart."""
    CASES.append((alert, claim, inputs, at, fires, step, every, which))


def known(steps, numbers=(1, 2)):
    """Pods are there: every threshold is a series of theirs."""
    return [holds("taffrail_capture_coverage", pod(number), 1, steps) for number in numbers]


def traffic(steps, a_minute):
    return grows("http_server_request_duration_seconds_count", pod(1, http_response_status_code="200"), a_minute, steps)


# Availability and latency: four windows, each just above and just below its rate of burning.
def failing(steps, share, total=1000):
    count = "http_server_request_duration_seconds_count"
    bad = pod(1, http_response_status_code="503", error_type="503")
    good = grows(count, pod(1, http_response_status_code="200"), total - share * total, steps)
    return [*known(steps), good, grows(count, bad, share * total, steps)]


def slow(steps, share, total=1000):
    name, ok = "http_server_request_duration_seconds", {"http_response_status_code": "200"}
    bucket = grows(f"{name}_bucket", pod(1, le="0.5", **ok), total - share * total, steps)
    return [*known(steps), grows(f"{name}_count", pod(1, **ok), total, steps), bucket]


BURNS = [
    ("1h", HOUR, 14.4, "critical", "1m"),
    ("6h", 6 * HOUR, 6, "critical", "5m"),
    ("1d", DAY, 3, "warning", "30m"),
    ("3d", 3 * DAY, 1, "warning", "30m"),
]
for name, slo, make, budget in (
    ("TaffrailAvailabilityBurn", "availability", failing, 0.001),
    ("TaffrailLatencyBurn", "latency", slow, 0.01),
):
    for window, minutes, factor, severity, every in BURNS:
        at, which = minutes + 30, {"slo": slo, "window": window}
        labels = {**MODEL, **which, "severity": severity}
        case(name, "above", make(at, 1.1 * factor * budget), at, labels, every=every, **which)
        case(name, "below", make(at, 0.9 * factor * budget), at, every=every, **which)
    which = {"slo": slo, "window": "1h"}
    case(name, "few", make(90, 0.2, total=0.3), 90, **which)

over = [min(minute, 60) * 100 for minute in range(71)]
ended = [*known(70), traffic(70, 900)]
ended.append(series("http_server_request_duration_seconds_count", pod(1, http_response_status_code="500"), over))
case("TaffrailAvailabilityBurn", "over since ten minutes", ended, 70, slo="availability", window="1h")

# Drift.
for value, labels in ((1, {**FEATURE, "severity": "warning"}), (0, None)):
    detected = [
        holds("taffrail_drift_detected", pod(number, feature="age", role="input", window=window), one, 5)
        for number, window, one in ((1, "5m", 0), (1, "1h", value), (2, "5m", 0))
    ]
    case("TaffrailDrift", f"detected {value}", [*known(5), *detected], 3, labels)
    part, when = {"segment": "country=FR"}, {"window": "1h"}
    for alert, name, which in (
        ("TaffrailSegmentDrift", "taffrail_drift_segment_verdict", part),
        ("TaffrailAttributionDrift", "taffrail_drift_attribution_detected", when),
    ):
        judged = [holds(name, pod(1, **part, **when) if which is part else pod(1, **when), value, 5)]
        labels = {**VERSION, **which, "severity": "warning"} if value else None
        case(alert, f"detected {value}", [*known(5), *judged], 3, labels)

for value, fires in ((1, True), (0, False)):
    hour, state = {"window": "1h"}, {"state": "not_trusted"}
    for alert, name, of, severity in (
        ("TaffrailJointDrift", "taffrail_drift_joint_detected", hour, {**hour, "severity": "warning"}),
        ("TaffrailEarlyWarning", "taffrail_drift_early_warning", FEATURE, {**FEATURE, "severity": "info"}),
        ("TaffrailEstimatesNotTrusted", "taffrail_performance_estimated_trust", state, {"severity": "warning"}),
    ):
        # Of one pod of two.
        told = [holds(name, pod(number, **of), one, 5) for number, one in ((1, value), (2, 0))]
        case(alert, f"{value}", [*known(5), *told], 3, {**VERSION, **severity} if fires else None)
trusted = holds("taffrail_performance_estimated_trust", pod(1, state="trusted"), 1, 5)
case("TaffrailEstimatesNotTrusted", "trusted", [*known(5), trusted], 3)
for course, at, fires in ((1, 8, True), (1, 4, False), (0, 8, False), (-1, 8, False)):
    signal = {"signal": "latency_p95"}
    course = [holds("taffrail_operation_change", pod(1, **signal), course, 10)]
    labels = {**VERSION, **signal, "severity": "warning"} if fires else None
    case("TaffrailOperationChange", f"{course} for {at}m", [*known(10), *course], at, labels)

for value, labels in ((1, {**VERSION, "measure": "accuracy", "severity": "warning"}), (0, None)):
    changed = [
        holds("taffrail_performance_detected", pod(number, measure="accuracy", window=window), one, 5)
        for number, window, one in ((1, "5m", 0), (1, "1h", value), (2, "5m", 0))
    ]
    case("TaffrailConceptDrift", f"detected {value}", [*known(5), *changed], 3, labels)


def fleet(steps, live, base, rows_a_minute, baseline_rows=BASELINE_ROWS):
    inputs = known(steps)
    for number in (1, 2):
        inputs.append(holds("taffrail_baseline_hash", pod(number, hash="aa"), 1, steps))
        inputs.append(holds("taffrail_baseline_rows", pod(number, state="given"), baseline_rows, steps))
        for index, (now, then) in enumerate(zip(live, base, strict=True)):
            of_bin = pod(number, feature="age", role="input", bin=str(index))
            inputs.append(grows("taffrail_feature_rows_total", of_bin, now * rows_a_minute / 2, steps))
            inputs.append(holds("taffrail_baseline_share", of_bin, then, steps))
    return inputs


HALVES, ABOVE, BELOW = [0.5, 0.5], [0.66, 0.34], [0.65, 0.35]
assert psi(BELOW, HALVES) < 0.1 < psi(ABOVE, HALVES)
# A day of which two hours have passed is judged by these.
for window, at, every in (("1h", 90, "1m"), ("1d", 150, "1m")):
    labels = {**FEATURE, "hash": "aa", "window": window, "severity": "warning"}
    sums = {"base": HALVES, "rows_a_minute": 1000, "baseline_rows": 1e6}
    case("TaffrailFleetDrift", "above", fleet(at, ABOVE, **sums), at, labels, every=every, window=window)
    case("TaffrailFleetDrift", "below", fleet(at, BELOW, **sums), at, every=every, window=window)
few = {"live": [0.8, 0.2], "base": HALVES, "baseline_rows": 1e6}
case("TaffrailFleetDrift", "under 500 rows", fleet(90, rows_a_minute=7, **few), 90, window="1h")
case(
    "TaffrailFleetDrift",
    "over 500 rows",
    fleet(90, rows_a_minute=10, **few),
    90,
    {**FEATURE, "hash": "aa", "window": "1h", "severity": "warning"},
    window="1h",
)
# PSI 0.2, of which a baseline of 40 rows makes 0.025 by its size alone, and chance up to 0.39.
case("TaffrailFleetDrift", "chance", fleet(90, [0.72, 0.28], HALVES, 1000, 40), 90, window="1h")


def baselines(state, *hashes):
    inputs = known(40)
    for number, a_hash in enumerate(hashes, 1):
        inputs.append(holds("taffrail_baseline_hash", pod(number, hash=a_hash), 1, 40))
        inputs.append(holds("taffrail_baseline_state", pod(number, state=state), 1, 40))
    return inputs


case("TaffrailBaselineMismatch", "two", baselines("given", "aa", "bb"), 35, {**VERSION, "severity": "warning"})
case("TaffrailBaselineMismatch", "one", baselines("given", "aa", "aa"), 35)
case("TaffrailBaselineMismatch", "each learned its own", baselines("learned", "aa", "bb"), 35)


def verdicts(judged, a_minute):
    inputs = [*known(120), traffic(120, a_minute)]
    for number, window, insufficient in ((1, "5m", 1), (1, "1h", 1), (2, "5m", judged)):
        labels = pod(number, window=window, verdict="insufficient_data")
        inputs.append(holds("taffrail_drift_verdict", labels, insufficient, 120))
    return inputs


case("TaffrailNoVerdict", "none", verdicts(1, 9), 110, {**VERSION, "severity": "warning"})
case("TaffrailNoVerdict", "one pod has one", verdicts(0, 9), 110)
case("TaffrailNoVerdict", "hardly any requests", verdicts(1, 8), 110)


# Quality: 1,000 rows a minute, or few.
def quality(check, share, a_minute=1000, null_share=0.0):
    of = {"feature": "age", "role": "input"}
    inputs = known(40)
    for number in (1, 2):
        inputs.append(grows("taffrail_quality_rows_checked_total", pod(number, **of), a_minute / 2, 40))
        flagged = pod(number, check=check, **of)
        inputs.append(grows("taffrail_quality_rows_flagged_total", flagged, share * a_minute / 2, 40))
        inputs.append(holds("taffrail_baseline_share", pod(number, bin="null", **of), null_share, 40))
    return inputs


for name, check, limit in (
    ("TaffrailNulls", "null", 0.05),
    ("TaffrailTypeErrors", "type_error", 0.01),
    ("TaffrailOutOfBounds", "out_of_bounds", 0.05),
    ("TaffrailNewCategories", "new_category", 0.05),
):
    labels = {**FEATURE, "check": check, "severity": "warning"}
    case(name, "above", quality(check, 1.1 * limit), 35, labels)
    case(name, "below", quality(check, 0.9 * limit), 35)
    case(name, "under 200 rows", quality(check, 0.5, a_minute=13), 35)
nulls = {**FEATURE, "check": "null", "severity": "warning"}
case("TaffrailNulls", "above its baseline", quality("null", 0.26, null_share=0.2), 35, nulls)
case("TaffrailNulls", "as ever", quality("null", 0.24, null_share=0.2), 35)
case("TaffrailNulls", "within chance", quality("null", 0.3, a_minute=14, null_share=0.2), 35)
for check, value, fires in (("unit_change", 1, True), ("frozen", 0, False), ("null", 1, False)):
    of_check = pod(1, feature="age", role="input", check=check, window="5m")
    failed = [*known(20), holds("taffrail_quality_detected", of_check, value, 20)]
    labels = {**FEATURE, "check": check, "severity": "warning"}
    case("TaffrailDataBroken", f"{check} {value}", failed, 15, labels if fires else None)

# Performance: nine days of labels, the last day worse.
NINE_DAYS = 9 * 24


def performed(measure, usual, last, an_hour=50):
    gauges = {measure: lambda hour: usual if hour <= NINE_DAYS - 24 else last}
    return [*known(NINE_DAYS), *performance_of(1, NINE_DAYS, gauges, an_hour)]


HOURLY = {"step": 60, "every": "1h"}
at = NINE_DAYS * 60
labels = {**VERSION, "measure": "accuracy", "severity": "warning"}
case("TaffrailAccuracyDrop", "above", performed("accuracy", 0.9, 0.84), at, labels, **HOURLY)
case("TaffrailAccuracyDrop", "below", performed("accuracy", 0.9, 0.86), at, **HOURLY)
case("TaffrailAccuracyDrop", "within chance", performed("accuracy", 0.9, 0.84, an_hour=10), at, **HOURLY)
case("TaffrailAccuracyDrop", "under 200 labels", performed("accuracy", 0.9, 0.3, an_hour=8), at, **HOURLY)
for measure, last, quiet in (("mae", 2.6, 2.4), ("mse", 6.6, 6.0)):
    shown = {"mse": "rmse"}.get(measure, measure)
    labels = {**VERSION, "measure": shown, "severity": "warning"}
    usual = 2.0 if measure == "mae" else 4.0
    case("TaffrailErrorGrowth", f"{shown} above", performed(measure, usual, last), at, labels, **HOURLY)
    case("TaffrailErrorGrowth", f"{shown} below", performed(measure, usual, quiet), at, **HOURLY)
case("TaffrailErrorGrowth", "under 200 labels", performed("mae", 2.0, 9.0, an_hour=8), at, **HOURLY)


def delays(late):
    counts = {"86400": 50, "259200": 100 - late, "604800": 100, "+Inf": 100}
    bucket = "taffrail_labels_delay_seconds_bucket"
    return [*known(60), *(grows(bucket, pod(1, le=limit), count, 60) for limit, count in counts.items())]


case("TaffrailLabelsLate", "above", delays(11), 50, {**MODEL, "severity": "warning"})
case("TaffrailLabelsLate", "below", delays(9), 50)

RECEIVED, END = "taffrail_labels_received_total", 28 * HOUR
STEPS = END // 4


def labels_until(hour):
    values = [min(4 * step, hour * HOUR) for step in range(STEPS + 1)]
    return [*known(STEPS), traffic(STEPS, 100), series(RECEIVED, pod(1, outcome="joined"), values)]


case("TaffrailLabelsStopped", "for a day", labels_until(2), END, {**MODEL, "severity": "warning"}, 4, "4m")
case("TaffrailLabelsStopped", "for hours", labels_until(20), END, None, 4, "4m")
case("TaffrailLabelsStopped", "there never were", labels_until(0), END, None, 4, "4m")


def unmatched(unknown, joined):
    counts = {"unknown_id": unknown, "joined": joined}
    return [*known(60), *(grows(RECEIVED, pod(1, outcome=name), count, 60) for name, count in counts.items())]


case("TaffrailLabelsUnmatched", "above", unmatched(11, 89), 50, {**MODEL, "severity": "warning"})
case("TaffrailLabelsUnmatched", "below", unmatched(9, 91), 50)
case("TaffrailLabelsUnmatched", "under 20 labels", unmatched(0.2, 0.1), 50)


# Capture.
def captured(**outcomes):
    name = "taffrail_capture_exchanges_total"
    return [*known(45), *(grows(name, pod(1, outcome=outcome), count, 45) for outcome, count in outcomes.items())]


WARNING, CRITICAL = {**MODEL, "severity": "warning"}, {**MODEL, "severity": "critical"}
case("TaffrailLowCoverage", "above", captured(kept=4.9, sampled_out=95.1), 40, WARNING)
case("TaffrailLowCoverage", "below", captured(kept=5.1, sampled_out=94.9), 40)
case("TaffrailCaptureDropping", "above", captured(kept=98.9, dropped=1.1), 40, WARNING)
case("TaffrailCaptureDropping", "below", captured(kept=99.1, dropped=0.9), 40)
case("TaffrailUndecodable", "above", captured(kept=100, undecodable=5.1), 40, WARNING)
case("TaffrailUndecodable", "below", captured(kept=100, undecodable=4.9), 40)
case("TaffrailUndecodable", "few", captured(kept=1, undecodable=1), 40)
limit = "taffrail_features_over_limit"
info = {**VERSION, "severity": "info"}
case("TaffrailFeaturesOverLimit", "above", [*known(20), holds(limit, pod(1), 1, 20)], 18, info)
case("TaffrailFeaturesOverLimit", "below", [*known(20), holds(limit, pod(1), 0, 20)], 18)

# Health.
TARGET = {"namespace": "ml", "job": "ml/taffrail", "instance": "10.0.0.1:9464", "pod": "income-1"}
OTHER = {**TARGET, "job": "pods"}
down = {**TARGET, "severity": "critical"}
case("TaffrailDown", "by its job", [holds("up", TARGET, 0, 9)], 8, down)
case("TaffrailDown", "up", [*known(9), holds("up", TARGET, 1, 9)], 8)
was = series("taffrail_capture_coverage", {**pod(1), **OTHER}, "1x9 _x30")
case("TaffrailDown", "by what it was", [was, series("up", OTHER, "1x9 0x30")], 30, {**OTHER, "severity": "critical"})
case("TaffrailDown", "another's", [holds("up", OTHER, 0, 30)], 30)
gone = [series("taffrail_capture_coverage", pod(1), "1x20 stale"), *known(60, numbers=(2,))]
gone[1]["series"] = gone[1]["series"].replace('"income"', '"other"')
case("TaffrailModelUnwatched", "gone", gone, 60, CRITICAL)
case("TaffrailModelUnwatched", "one pod left", [gone[0], *known(60, numbers=(2,))], 60)
case("TaffrailAbsent", "nothing", [holds("up", OTHER, 1, 30)], 25, {"severity": "critical"})
case("TaffrailAbsent", "something", known(30), 25)


def exported(failed, ok):
    of = {"exporter": "otlp", "signal": "metrics"}
    name = "taffrail_export_requests_total"
    counts = {"failed": failed, "ok": ok}
    return [*known(40), *(grows(name, pod(1, outcome=one, **of), count, 40) for one, count in counts.items())]


case("TaffrailExportFailing", "all", exported(1, 0), 35, {**WARNING, "exporter": "otlp"})
case("TaffrailExportFailing", "some", exported(9, 1), 35)
case("TaffrailExportFailing", "none", exported(0, 1), 35)
lost = {"exporter": "otlp", "signal": "logs", "reason": "queue_full"}
dropped = "taffrail_export_dropped_total"
case("TaffrailExportDropping", "some", [*known(40), grows(dropped, pod(1, **lost), 1, 40)], 35, {**WARNING, **lost})
case("TaffrailExportDropping", "none", [*known(40), grows(dropped, pod(1, **lost), 0, 40)], 35)
AZURE = {"exporter": "application_insights"}
buffer = "taffrail_export_buffer"
for size, labels in ((81, {**WARNING, **AZURE}), (79, None)):
    sizes = holds(f"{buffer}_size_bytes", pod(1, **AZURE), size, 20), holds(f"{buffer}_size_limit_bytes", pod(1, **AZURE), 100, 20)
    case("TaffrailExportBufferFilling", f"{size} %", [*known(20), *sizes], 15, labels)
for works, labels in ((0, {**WARNING, **AZURE}), (1, None)):
    found = holds(f"{buffer}_healthy", pod(1, **AZURE), works, 20)
    case("TaffrailExportBufferUnhealthy", f"healthy {works}", [*known(20), found], 15, labels)
for value, fires in ((0, WARNING), (1, None)):
    sound = holds("taffrail_config_healthy", pod(1), value, 20)
    case("TaffrailConfigRejected", f"healthy {value}", [*known(20), sound], 15, fires)
for second, differs in (("bb", True), ("aa", False)):
    hashes = [holds("taffrail_config_hash", pod(n, hash=one), 1, 40) for n, one in ((1, "aa"), (2, second))]
    labels = {**VERSION, "severity": "warning"} if differs else None
    case("TaffrailConfigMismatch", f"aa and {second}", [*known(40), *hashes], 35, labels)
for keys in (1, 0):
    waiting = holds("taffrail_config_restart_required", pod(1), keys, 80)
    case("TaffrailConfigWaits", f"{keys}", [*known(80), waiting], 75, {**MODEL, "severity": "info"} if keys else None)
healthy = "taffrail_archive_healthy"
sick = [*known(20), holds(healthy, pod(1), 0, 20), holds(healthy, pod(2), 1, 20)]
case("TaffrailArchiveUnhealthy", "one of two", sick, 15, CRITICAL)
case("TaffrailArchiveUnhealthy", "none", [*known(20), holds(healthy, pod(1), 1, 20)], 15)
archived = "taffrail_archive_exchanges_total"
case("TaffrailArchiveLosing", "some", [*known(40), grows(archived, pod(1, outcome="lost"), 1, 40)], 35, WARNING)
case("TaffrailArchiveLosing", "none", [*known(40), grows(archived, pod(1, outcome="lost"), 0, 40)], 35)


def unit_of(alert, claim, inputs, at, _fires, step, every, _which):
    return Unit(f"{alert}: {claim}", inputs, at, step, every)


def test_alerts_fire_when_they_should_and_not_just_below(tmp_path):
    units = []
    for one in CASES:
        alert, fires, which = one[0], one[4], one[-1]
        unit, selected = unit_of(*one), {"alertname": alert, "alertstate": "firing", **which}
        expression = "ALERTS" + json.dumps(selected).replace('": ', "=").replace('{"', "{").replace(', "', ",")
        found = {"__name__": "ALERTS", "alertname": alert, "alertstate": "firing"}
        units.append(unit.expect(expression, *([({**found, **fires}, 1)] if fires else [])))
    assert_all_hold(tmp_path, units)


def rules_of(alert, which):
    fitting = [rule for rule in ALERTS if rule["alert"] == alert and which.items() <= rule["labels"].items()]
    assert len(fitting) == 1, (alert, which)
    return fitting[0]


def test_every_alert_has_a_case_of_each_kind():
    for fires in (True, False):
        tested = [rules_of(alert, which) for alert, _, _, _, labels, _, _, which in CASES if bool(labels) == fires]
        assert not [(rule["alert"], rule["labels"]) for rule in ALERTS if rule not in tested]


def test_annotations_are_whole_where_they_fire(tmp_path):
    """promtool prints alerts that a test does not expect, with their annotations."""
    first = {one[0]: one for one in reversed(CASES) if one[4]}
    units = [unit_of(*one).expect_alerts(alert) for alert, one in first.items()]
    printed = " ".join(output for _, output in promtool(tmp_path, units))
    for alert in {rule["alert"] for rule in ALERTS}:
        assert f'alertname="{alert}"' in printed, alert
    for mark in ("error expanding", "no value", "%!", "NaN", "<nil>"):
        assert mark not in printed, printed[max(0, printed.find(mark) - 500) : printed.find(mark) + 200]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']} {rule['labels'].get('window', '')}")
def test_every_alert_says_what_it_means_and_where_to_look(rule):
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description", "runbook"}
    assert all(len(text) > 30 for text in annotations.values())
    if rule["alert"] != "TaffrailAbsent":
        assert "{{ $labels." in annotations["summary"]
    # A label in the text that the alert does not carry would be empty.
    carried = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
    told = set(re.findall(r"\$labels\.(\w+)", " ".join(annotations.values())))
    derived = {"namespace", "model_name", "model_version", "feature", "role", "hash", "measure", "instance", "pod"}
    assert told <= carried | derived, told - carried
