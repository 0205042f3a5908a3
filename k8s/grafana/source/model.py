"""A model's health: does it drift, is its input sound, does it still perform."""

from common import JOB, MODEL, MODEL_NAME, NAMESPACE, NO_VERSION, POD, PODS, VERSION, verdict_changes
from panels import (
    GREEN, RED, VERDICTS, YELLOW, YES_NO, choice, dashboard, heat, lines, override, query, stat, states, steps, table,
    table_query, variable,
)

WINDOW = 'window=~"$window"'
CODE = (
    f'2 * taffrail_drift_verdict{{{POD}, {{window}} verdict="drifting"}}'
    f' + ignoring (verdict) taffrail_drift_verdict{{{POD}, {{window}} verdict="insufficient_data"}}'
)
SHARES = steps((None, GREEN), (0.01, YELLOW), (0.05, RED))
PSI = steps((None, GREEN), (0.1, YELLOW), (0.25, RED))


def verdict(chosen=True):
    return CODE.replace("{window}", f"{WINDOW}," if chosen else "")


def checked(check):
    return f'taffrail:quality_ratio:15m{{{MODEL}, check="{check}"}}'


VERDICT = [
    stat("Verdict", "On the last closed window of the chosen length, the worst of all pods.", "none", f"max({verdict()})", mappings=VERDICTS, size=(5, 4)),
    stat(
        "Features that drift",
        "On at least one pod, in the last closed window.",
        "none",
        f"sum(max by (feature, role) (taffrail_drift_detected{{{POD}, {WINDOW}}}))",
        limits=steps((None, GREEN), (1, RED)),
        size=(5, 4),
    ),
    stat(
        "Rows in the window",
        "Of the pod that had fewest. Under `drift.min_rows` there is no verdict.",
        "short",
        f"min(taffrail_drift_rows{{{POD}, {WINDOW}}})",
        limits=steps((None, RED), (50, YELLOW), (500, GREEN)),
        size=(5, 4),
    ),
    stat(
        "Window's coverage",
        "Share of the window's exchanges that its verdict saw, of the pod that saw least.",
        "percentunit",
        f"min(taffrail_drift_coverage{{{POD}, {WINDOW}}})",
        limits=steps((None, RED), (0.05, YELLOW), (0.5, GREEN)),
        size=(5, 4),
    ),
    stat(
        "Baseline",
        "How far the baseline is; below 100 % it is being learnt from live rows, and nothing is judged.",
        "percentunit",
        f"min(taffrail_baseline_progress{{{POD}}})",
        limits=steps((None, YELLOW), (1, GREEN)),
        size=(4, 4),
    ),
    states(
        "Verdicts",
        "By length of window, the worst of all pods.",
        query(f"max by (model_version, window) ({verdict(chosen=False)})", "{{window}} {{model_version}}"),
        VERDICTS,
        size=(24, 5),
    ),
]

LINK = [{
    "title": "This feature in depth",
    "url": "/d/taffrail-feature?${datasource:queryparam}&${job:queryparam}&${namespace:queryparam}&${model_name:queryparam}"
    "&${model_version:queryparam}&${pod:queryparam}&${window:queryparam}&var-feature=${__data.fields.Feature:percentencode}"
    "&var-role=${__data.fields.Role:percentencode}&${__url_time_range}",
    "targetBlank": False,
}]
FEATURES = [
    table(
        "Features by drift",
        "Distances are of the last closed window, of the pod that is farthest; PSI and null rise are the fleet's. Detected is the verdict: significant, and of a size worth acting on. Click a feature to see it in depth.",
        [
            table_query(f"max by (feature, role) (taffrail_drift_detected{{{POD}, {WINDOW}}})"),
            table_query(f'max by (feature, role) (taffrail_drift_distance{{{POD}, {WINDOW}, method="jensen_shannon"}})'),
            table_query(f"min by (feature, role) (taffrail_drift_p_value{{{POD}, {WINDOW}}})"),
            table_query(f"max by (feature, role) (taffrail:psi_corrected:${{fleet_window}}{{{MODEL}}})"),
            table_query(f"max by (feature, role) (taffrail:null_rise:15m{{{MODEL}}})"),
            table_query(f"max by (feature, role) ({checked('out_of_bounds')})"),
            table_query(f"max by (feature, role) ({checked('new_category')})"),
        ],
        {
            "feature": ("Feature", None, None),
            "role": ("Role", None, None),
            "Value #A": ("Detected", "none", steps((None, GREEN), (1, RED))),
            "Value #B": ("Jensen-Shannon", "none", None),
            "Value #C": ("p-value", "sci", None),
            "Value #D": ("PSI of the fleet", "none", PSI),
            "Value #E": ("Null rise", "percentunit", SHARES),
            "Value #F": ("Out of bounds", "percentunit", SHARES),
            "Value #G": ("New category", "percentunit", SHARES),
        },
        sort="Jensen-Shannon",
        overrides=[override("Feature", "string", links=LINK)],
    ),
    states(
        "Which features drifted, and when",
        "1 where a pod's last closed window of the chosen length was found to drift.",
        query(f"max by (feature, role) (taffrail_drift_detected{{{POD}, {WINDOW}}})", "{{role}} {{feature}}"),
        YES_NO,
        size=(24, 9),
    ),
    states(
        "Do features go together as they did?",
        "yes where a pod's last closed window of the chosen length was found to have other correlations than the baseline, which no feature shows by itself.",
        query(f"max by (pod) (taffrail_drift_joint_detected{{{POD}, {WINDOW}}})", "{{pod}}"),
        YES_NO,
        size=(12, 8),
    ),
    lines(
        "p-value of how features go together",
        "Of the last closed window by pod. A tenth of `drift.false_discovery_rate` is its limit.",
        "sci",
        query(f"min by (pod) (taffrail_drift_joint_p_value{{{POD}, {WINDOW}}})", "{{pod}}"),
        log=True,
        limits=steps((None, RED), (0.001, GREEN)),
    ),
    states(
        "Early warning",
        "yes from when a pod sees by its rows, before their window ends, that a feature has changed, until it is as before.",
        query(f"max by (feature, role) (taffrail_drift_early_warning{{{POD}}})", "{{role}} {{feature}}"),
        YES_NO,
        size=(24, 9),
    ),
    lines(
        "Farthest features",
        "Jensen-Shannon distance of the last closed window, the ten farthest, of the pod that is farthest.",
        "none",
        query(f'topk(10, max by (feature, role) (taffrail_drift_distance{{{POD}, {WINDOW}, method="jensen_shannon"}}))', "{{role}} {{feature}}"),
        minimum=0,
    ),
    lines(
        "PSI of the fleet",
        "Of all pods' rows, with the small-sample bias taken off; the ten largest. 0.1 and 0.25 are the usual marks.",
        "none",
        query(f"topk(10, max by (feature, role) (taffrail:psi_corrected:${{fleet_window}}{{{MODEL}}}))", "{{role}} {{feature}}"),
        limits=PSI,
    ),
]


SEGMENTS = [
    states(
        "Which segments drifted, and when",
        "Parts of the traffic named by features.segments; 1 where a pod's last closed window was found to drift. Empty without segments.",
        query(f"max by (segment) (taffrail_drift_segment_verdict{{{POD}, {WINDOW}}})", "{{segment}}"),
        YES_NO,
        size=(24, 8),
    ),
    lines(
        "Features that drift in a segment",
        "In the last closed window of the chosen length, the ten segments with most, of the pod that has most.",
        "none",
        query(f"topk(10, max by (segment) (taffrail_drift_segment_features_detected{{{POD}, {WINDOW}}}))", "{{segment}}"),
        minimum=0,
        size=(8, 8),
    ),
    lines(
        "Rows of a segment",
        "In the last closed window, of all pods; the ten largest.",
        "short",
        query(f"topk(10, sum by (segment) (taffrail_drift_segment_rows{{{POD}, {WINDOW}}}))", "{{segment}}"),
        minimum=0,
        size=(8, 8),
    ),
    lines(
        "Ranking of features by attribution",
        "NDCG against the reference, of the pod that is farthest: 1 is the same ranking; under 0.9, beyond chance, it is another (detected is 1). Empty unless answers carry attributions.",
        "none",
        [
            query(f"min(taffrail_drift_attribution_ndcg{{{POD}, {WINDOW}}})", "NDCG"),
            query(f"max(taffrail_drift_attribution_detected{{{POD}, {WINDOW}}})", "detected"),
        ],
        minimum=0,
        maximum=1,
        size=(8, 8),
    ),
]


def quality(title, description, expr, limits):
    target = query(f"topk(10, max by (feature, role) ({expr}))", "{{role}} {{feature}}")
    return lines(title, description, "percentunit", target, limits=limits)


QUALITY = [
    quality("Nulls over the baseline's", "Share of a quarter of an hour's rows that are null, less the baseline's share.", f"taffrail:null_rise:15m{{{MODEL}}}", steps((None, GREEN), (0.05, RED))),
    quality("Wrong type", "Share of a quarter of an hour's rows of another type than the baseline's.", checked("type_error"), steps((None, GREEN), (0.01, RED))),
    quality("Out of bounds", "Share of a quarter of an hour's rows outside the baseline's smallest and largest value.", checked("out_of_bounds"), steps((None, GREEN), (0.05, RED))),
    lines("Features that the baseline lacks", "Names in requests' last closed window that no feature of the baseline has.", "short", query(f"max by (role) (taffrail_quality_extra_features{{{POD}, {WINDOW}}})", "{{role}}"), minimum=0),
    quality("New categories", "Share of a quarter of an hour's rows with a level that the baseline never saw.", checked("new_category"), steps((None, GREEN), (0.05, RED))),
]


def measured(name):
    return query(f'avg(taffrail_performance_{name}{{{POD}, segment="all"}})', name)


def estimated(name):
    return query(f'avg by (window) (taffrail_performance_estimated_{name}{{{POD}, segment="all"}})', f"{name} {{{{window}}}}")


ESTIMATED = [
    lines("Estimated before labels come", "From scores, of the last closed window; mean over pods. It cannot see a change of the concept: look at whether it came true.", "percentunit", [estimated(name) for name in ("accuracy", "precision", "recall", "f1", "auroc")], maximum=1),
    lines(
        "Accuracy should lie between",
        "The ends of the interval of the estimate, of the pod that is least sure.",
        "percentunit",
        [
            query(f'min by (window) (taffrail_performance_estimated_interval{{{POD}, measure="accuracy", bound="low"}})', "at least {{window}}"),
            query(f'max by (window) (taffrail_performance_estimated_interval{{{POD}, measure="accuracy", bound="high"}})', "at most {{window}}"),
        ],
        maximum=1,
    ),
    lines("Error of estimates", "Mean distance from what came true, over the windows whose labels have come.", "percentunit", query(f"max by (measure) (taffrail_performance_estimated_error{{{POD}}})", "{{measure}}"), size=(8, 8)),
    lines("Estimates that came true", "Share of those windows whose realised figure lay in the interval: 0.95 is what it is made for.", "percentunit", query(f"min by (measure) (taffrail_performance_estimated_inside{{{POD}}})", "{{measure}}"), minimum=0, maximum=1, limits=steps((None, RED), (0.8, GREEN)), size=(8, 8)),
    stat("Not to be trusted", "Pods whose estimates did not come true too often: the concept has changed, or the reference was another.", "none", f'sum(taffrail_performance_estimated_trust{{{POD}, state="not_trusted"}})', limits=steps((None, GREEN), (1, RED)), size=(4, 8)),
    stat("Rows that tell what a score means", "Labelled rows, of the reference or live.", "short", f"sum by (source) (taffrail_performance_estimated_calibration_rows{{{POD}}}) > 0", "{{source}}", limits=steps((None, YELLOW), (1000, GREEN)), size=(4, 8)),
    lines("Rows estimated", "Predicted rows with scores in the last window of each length, over all pods.", "short", query(f"sum by (window) (taffrail_performance_estimated_rows{{{POD}}})", "{{window}}"), size=(24, 6)),
]

PERFORMANCE = [
    lines("Classification, since the start", "Mean over pods; precision, recall and F1 are means over classes. Empty for a regression.", "percentunit", [measured(name) for name in ("accuracy", "precision", "recall", "f1")], maximum=1),
    lines("Regression, since the start", "Mean over pods, in the label's unit. Empty for a classifier.", "none", [measured(name) for name in ("mae", "rmse", "r2", "mape")]),
    lines("Probabilities, since the start", "Mean over pods, where the model says probabilities: how well they order rows, what they cost, how far they are from what comes true.", "none", [measured(name) for name in ("auroc", "log_loss", "calibration_error")]),
    lines(
        "Intervals, since the start",
        "95 % of such intervals hold the true value; of the pod where they reach furthest.",
        "none",
        [
            query(f'min by (measure) (taffrail_performance_interval{{{POD}, segment="all", bound="low"}})', "{{measure}} low"),
            query(f'max by (measure) (taffrail_performance_interval{{{POD}, segment="all", bound="high"}})', "{{measure}} high"),
        ],
    ),
    lines("Mean squared error", "Mean over pods, in the square of the label's unit. Empty for a classifier.", "none", measured("mse"), size=(8, 8)),
    lines(
        "The last day's labels",
        "Measures over the labels of a day, over all pods; `usual` is the mean of the week before.",
        "none",
        [
            query(f"taffrail:performance:1d{{{MODEL}}}", "{{measure}} {{model_version}}"),
            query(f"taffrail:performance:usual{{{NO_VERSION}}}", "usual {{measure}}"),
        ],
        size=(8, 8),
    ),
    lines(
        "Last window of labels",
        "Each measure of the last window of labelled rows that was emitted, mean over pods, and what it is tested against.",
        "none",
        [
            query(f'avg by (measure) (taffrail_performance_window_value{{{POD}, window="$window"}})', "{{measure}}"),
            query(f"avg by (measure) (taffrail_performance_reference{{{POD}}})", "{{measure}} reference"),
        ],
    ),
    lines(
        "Its intervals",
        "The 95 % intervals of that window, of the pod where they reach furthest.",
        "none",
        [
            query(f'min by (measure) (taffrail_performance_window_interval{{{POD}, window="$window", bound="low"}})', "{{measure}} low"),
            query(f'max by (measure) (taffrail_performance_window_interval{{{POD}, window="$window", bound="high"}})', "{{measure}} high"),
        ],
    ),
    stat("Concept drift", "Pods whose last judged window of labels does otherwise than the reference.", "none", f'sum(taffrail_performance_verdict{{{POD}, window="$window", verdict="drifting"}})', limits=steps((None, GREEN), (1, RED)), size=(4, 8)),
    stat("Its labelled rows", "Of the pod that had fewest.", "short", f'min(taffrail_performance_window_rows{{{POD}, window="$window"}})', limits=steps((None, YELLOW), (50, GREEN)), size=(4, 8)),
    lines(
        "Changed against the reference",
        "Pods in which a measure changed: detected is of a size worth acting on, significant is not chance.",
        "none",
        [
            query(f'sum by (measure) (taffrail_performance_detected{{{POD}, window="$window"}})', "{{measure}} detected"),
            query(f'sum by (measure) (taffrail_performance_significant{{{POD}, window="$window"}})', "{{measure}} significant"),
        ],
        size=(8, 8),
    ),
    lines("p of the change", "The smallest of all pods, before correction for many measures.", "none", query(f'min by (measure) (taffrail_performance_p_value{{{POD}, window="$window"}})', "{{measure}}"), log=True, size=(8, 8)),
    lines("By class", "Mean over pods, of the classes with most labelled rows.", "percentunit", query(f"avg by (class, measure) (taffrail_performance_class_share{{{POD}}})", "{{class}} {{measure}}"), maximum=1),
    lines("Labelled rows by class", "Over all pods, since the start.", "short", query(f"sum by (class) (taffrail_performance_class_rows{{{POD}}})", "{{class}}")),
    stat("Labels of a day", "Labels that found their prediction.", "short", f"sum(taffrail:labels:1d{{{MODEL}}})", limits=steps((None, YELLOW), (200, GREEN)), size=(4, 8)),
    stat("Labelled", "Share of all predictions since the start whose label has come.", "percentunit", f"sum(taffrail_labels_coverage{{{POD}}} * taffrail_labels_predictions_total{{{POD}}}) / (sum(taffrail_labels_predictions_total{{{POD}}}) > 0)", limits=steps((None, YELLOW), (0.1, GREEN)), size=(4, 8)),
    lines(
        "Labels",
        "joined found their prediction; unknown_id did not; late came when it was forgotten; a duplicate replaces the one before. Expired are predictions forgotten without a label.",
        "cps",
        [
            query(f"sum by (outcome) (rate(taffrail_labels_received_total{{{POD}}}[$__rate_interval]))", "{{outcome}}"),
            query(f"sum(rate(taffrail_labels_predictions_total{{{POD}}}[$__rate_interval]))", "predictions"),
            query(f"sum(rate(taffrail_labels_expired_total{{{POD}}}[$__rate_interval]))", "expired"),
        ],
    ),
    lines(
        "Where labels come from",
        "Labels read, and labels or lines that could not be read, by API, file and header.",
        "cps",
        [
            query(f"sum by (source) (rate(taffrail_labels_read_total{{{POD}}}[$__rate_interval]))", "{{source}}"),
            query(f"sum by (source) (rate(taffrail_labels_unreadable_total{{{POD}}}[$__rate_interval]))", "{{source}} unreadable"),
        ],
    ),
    lines(
        "Windows emitted again",
        "After late labels; given up are those whose labels may still have come, over a bound of memory.",
        "short",
        [
            query(f"sum(increase(taffrail_performance_revisions_total{{{POD}}}[$__rate_interval]))", "emitted again"),
            query(f"sum(increase(taffrail_performance_forgotten_windows_total{{{POD}}}[$__rate_interval]))", "given up"),
        ],
    ),
    heat("How late labels are", "Time from a prediction to its label.", f"sum by (le) (increase(taffrail_labels_delay_seconds_bucket{{{POD}}}[$__rate_interval]))"),
    lines(
        "Label delay",
        "Half, and nine in ten, of the labels come sooner.",
        "s",
        [query(f"histogram_quantile({q}, sum by (le) (rate(taffrail_labels_delay_seconds_bucket{{{POD}}}[$__rate_interval])))", name) for q, name in ((0.5, "p50"), (0.9, "p90"))],
        limits=steps((None, GREEN), (259200, RED)),
        log=True,
        size=(24, 7),
    ),
]

COVERAGE = [
    lines("Coverage of the windows", "Share of the last closed window's exchanges that its verdict saw, of the pod that saw least.", "percentunit", query(f"min by (window) (taffrail_drift_coverage{{{POD}}})", "{{window}}"), minimum=0, maximum=1, limits=steps((None, RED), (0.05, GREEN)), size=(8, 8)),
    lines("Rows of the windows", "In the last closed window of each length, of the pod that had fewest.", "short", query(f"min by (window) (taffrail_drift_rows{{{POD}}})", "{{window}}"), size=(8, 8), limits=steps((None, RED), (50, GREEN))),
    lines("Rows read", "Rows found in payloads.", "rowsps", query(f"sum by (role) (rate(taffrail_decode_rows_total{{{POD}}}[$__rate_interval]))", "{{role}}"), size=(8, 8)),
    lines("Payloads that could not be read", "By reason. They passed unchanged, but their features are not watched.", "cps", query(f'sum by (reason) (rate(taffrail_capture_exchanges_total{{{POD}, outcome="undecodable"}}[$__rate_interval]))', "{{reason}}"), size=(8, 8)),
    lines("Payloads read", "Exchanges whose payloads were read.", "cps", query(f"sum(rate(taffrail_decode_exchanges_total{{{POD}}}[$__rate_interval]))", "read"), size=(8, 8)),
    stat("Features not watched", "Over `features.max`.", "none", f"max(taffrail_features_over_limit{{{POD}}})", limits=steps((None, GREEN), (1, YELLOW)), size=(4, 8)),
    stat("Rows in the baseline", "While it is learnt, those so far.", "short", f"max by (state) (taffrail_baseline_rows{{{POD}}})", "{{state}}", size=(4, 8)),
]

WINDOWS = variable("window", "Window", f"label_values(taffrail_drift_verdict{{{POD}}}, window)", "Length of the pods' own windows.", several=False)
FLEET_WINDOW = choice("fleet_window", "Fleet window", ["5m", "1h", "1d"], "1h", "Length of the windows over all pods, of the recording rules.")
DASHBOARD = dashboard(
    "taffrail-model",
    "Taffrail / Model",
    "Does the model drift, is its input sound, does it still perform.",
    [JOB, NAMESPACE, MODEL_NAME, VERSION, PODS, WINDOWS, FLEET_WINDOW],
    verdict_changes(POD),
    [("Verdict", VERDICT), ("Features", FEATURES), ("Segments and attribution", SEGMENTS), ("Quality", QUALITY), ("Performance and labels", PERFORMANCE), ("Performance before labels come", ESTIMATED), ("What the verdicts saw", COVERAGE)],
    span="now-24h",
)
