"""The pods of a model side by side: which one differs, and whether they are what they should be."""

from common import JOB, MODEL_NAME, NAMESPACE, POD, PODS, VERSION, verdict_changes
from model import WINDOWS
from panels import GREEN, HEALTH, RED, YELLOW, dashboard, lines, named_values, query, stat, states, steps, table, table_query

WINDOW = 'window=~"$window"'
COUNT = f"http_server_request_duration_seconds_count{{{POD}}}"
DISTANCE = f'taffrail_drift_distance{{{POD}, {WINDOW}, method="jensen_shannon"}}'
DOWN_UP = named_values({0: ("down", RED), 1: ("up", GREEN)})
UP = 'up{job=~"$job", namespace=~"$namespace", pod=~"$pod"} and on (namespace, job, instance) last_over_time(taffrail_capture_coverage{%s}[1h])' % POD


def latency(phase):
    return f'max by (pod) (taffrail_request_latency_seconds{{{POD}, phase="{phase}", quantile="0.99"}})'


NOW = [
    stat("Pods", "That are being scraped.", "none", f"count(taffrail_capture_coverage{{{POD}}})", limits=steps((None, RED), (1, GREEN))),
    stat("Pods down", "Known within the hour, and not to be scraped now.", "none", f"count(({UP}) == 0) or vector(0)", limits=steps((None, GREEN), (1, RED))),
    stat("Versions", "Of the model, among the pods. More than one is a rollout under way, or one that stopped halfway.", "none", f"count(count by (model_version) (taffrail_capture_coverage{{{POD}}}))", limits=steps((None, GREEN), (2, YELLOW))),
    stat("Baselines", "Different ones among the pods. Pods that differ here are not added up.", "none", f"count(count by (hash) (taffrail_baseline_hash{{{POD}}}))", limits=steps((None, GREEN), (2, YELLOW))),
    stat("Pods that drift", "With at least one feature detected in the last closed window.", "none", f"sum(max by (pod) (taffrail_drift_detected{{{POD}, {WINDOW}}}))", limits=steps((None, GREEN), (1, RED))),
    stat("Lost in export", "Spans, events and points of an hour, over all pods.", "short", f"sum(increase(taffrail_export_dropped_total{{{POD}}}[1h]))", limits=steps((None, GREEN), (1, RED))),
]

PODS_TABLE = [
    table(
        "Pod by pod",
        "Each pod's traffic, latency, errors, drift and losses, now.",
        [
            table_query(f"sum by (pod, model_version) (rate({COUNT}[$__rate_interval]))"),
            table_query(f'max by (pod, model_version) (taffrail_request_latency_seconds{{{POD}, phase="total", quantile="0.99"}})'),
            table_query(f'sum by (pod, model_version) (rate(http_server_request_duration_seconds_count{{{POD}, error_type!=""}}[$__rate_interval])) / sum by (pod, model_version) (rate({COUNT}[$__rate_interval]))'),
            table_query(f"sum by (pod, model_version) (taffrail_drift_detected{{{POD}, {WINDOW}}})"),
            table_query(f"max by (pod, model_version) ({DISTANCE})"),
            table_query(f"max by (pod, model_version) (taffrail_capture_coverage{{{POD}}})"),
            table_query(f"max by (pod, model_version) (taffrail_archive_healthy{{{POD}}})"),
            table_query(f"sum by (pod, model_version) (increase(taffrail_export_dropped_total{{{POD}}}[1h]))"),
        ],
        {
            "pod": ("Pod", None, None),
            "model_version": ("Version", None, None),
            "Value #A": ("Requests a second", "reqps", None),
            "Value #B": ("p99", "s", steps((None, GREEN), (0.5, YELLOW), (1, RED))),
            "Value #C": ("Failed", "percentunit", steps((None, GREEN), (0.001, YELLOW), (0.01, RED))),
            "Value #D": ("Features that drift", "none", steps((None, GREEN), (1, RED))),
            "Value #E": ("Farthest feature", "none", None),
            "Value #F": ("Captured", "percentunit", steps((None, RED), (0.05, YELLOW), (0.5, GREEN))),
            "Value #G": ("Archive", "none", steps((None, RED), (1, GREEN))),
            "Value #H": ("Lost in export", "short", steps((None, GREEN), (1, RED))),
        },
        sort="Requests a second",
    ),
    states("Up", "Whether Prometheus gets an answer from the sidecar.", query(f"max by (pod) ({UP})", "{{pod}}"), DOWN_UP, size=(24, 6)),
]

TRAFFIC = [
    lines("Requests by pod", "Uneven lines mean uneven balancing: long-lived connections, or a pod that is avoided.", "reqps", query(f"sum by (pod) (rate({COUNT}[$__rate_interval]))", "{{pod}}")),
    lines("p99 by pod", "Of the last minute, on the slowest route.", "s", query(latency("total"), "{{pod}}"), log=True),
    lines("Overhead p99 by pod", "Taffrail's own time. One pod apart is short of CPU.", "s", query(latency("overhead"), "{{pod}}"), limits=steps((None, GREEN), (0.005, YELLOW), (0.02, RED))),
    lines("Errors by pod", "All kinds, those of clients included.", "reqps", query(f'sum by (pod) (rate(http_server_request_duration_seconds_count{{{POD}, error_type!=""}}[$__rate_interval]))', "{{pod}}")),
]

DRIFT = [
    lines("Features that drift, by pod", "In the last closed window.", "none", query(f"sum by (pod) (taffrail_drift_detected{{{POD}, {WINDOW}}})", "{{pod}}"), minimum=0),
    lines(
        "Unlike its peers",
        "How much farther from the baseline than the median of all pods a pod is, by its feature that stands out most (Jensen-Shannon). High on one pod: its callers, its version or its node; low on all: whatever drifts, drifts everywhere.",
        "none",
        query(f"topk(10, max by (pod) ({DISTANCE} - on (model_name, model_version, feature, role, window) group_left () quantile by (model_name, model_version, feature, role, window) (0.5, {DISTANCE})))", "{{pod}}"),
        limits=steps((None, GREEN), (0.1, YELLOW), (0.3, RED)),
    ),
    table(
        "Which feature of which pod",
        "The twenty that are farthest above the median of all pods.",
        table_query(f"topk(20, max by (pod, feature, role) ({DISTANCE} - on (model_name, model_version, feature, role, window) group_left () quantile by (model_name, model_version, feature, role, window) (0.5, {DISTANCE})))"),
        {"pod": ("Pod", None, None), "feature": ("Feature", None, None), "role": ("Role", None, None), "Value": ("Over the median", "none", steps((None, GREEN), (0.1, YELLOW), (0.3, RED)))},
        size=(12, 8),
        sort="Over the median",
    ),
    lines("Coverage by pod", "Share of the exchanges since the start that analysis received.", "percentunit", query(f"max by (pod) (taffrail_capture_coverage{{{POD}}})", "{{pod}}"), minimum=0, maximum=1, limits=steps((None, RED), (0.05, GREEN))),
]

BASELINES = [
    lines("Pods by version", "A rollout is one line falling and another rising.", "none", query(f"count by (model_version) (taffrail_capture_coverage{{{POD}}})", "{{model_version}}"), stacked=True, size=(8, 8)),
    lines("Pods by baseline", "More than one hash of a version for long is TaffrailBaselineMismatch.", "none", query(f"count by (model_version, hash) (taffrail_baseline_hash{{{POD}}})", "{{model_version}} {{hash}}"), stacked=True, size=(8, 8)),
    lines("Pods by state of the baseline", "Pods that learn, or have learnt, their own baseline cannot be added up.", "none", query(f"sum by (state) (taffrail_baseline_state{{{POD}}})", "{{state}}"), stacked=True, size=(8, 8)),
    table(
        "Baseline of each pod",
        "Its hash and the rows it stands on.",
        [table_query(f"max by (pod, model_version, hash) (taffrail_baseline_hash{{{POD}}}) * on (pod, model_version) group_left (state) max by (pod, model_version, state) (taffrail_baseline_rows{{{POD}}})")],
        {"pod": ("Pod", None, None), "model_version": ("Version", None, None), "hash": ("Baseline", None, None), "state": ("State", None, None), "Value": ("Rows", "short", None)},
        size=(24, 7),
    ),
]

CONFIGURATION = [
    lines("Pods by configuration", "By the hash of what is in force. More than one for long: a file that did not reach every pod, or was rejected by some.", "none", query(f"count by (hash) (taffrail_config_hash{{{POD}}})", "{{hash}}"), stacked=True, size=(8, 8)),
    states("Configuration health", "rejected from a reload that was refused until one is taken; the configuration before stays in force.", query(f"min by (pod) (taffrail_config_healthy{{{POD}}})", "{{pod}}"), named_values({0: ("rejected", RED), 1: ("in force", GREEN)}), size=(8, 8)),
    lines("Reloads", "What became of each.", "cps", query(f"sum by (outcome) (rate(taffrail_config_reloads_total{{{POD}}}[$__rate_interval]))", "{{outcome}}"), size=(8, 8)),
    lines("Keys that wait for a restart", "Changed in the file, and not to be changed in a running sidecar.", "none", query(f"max by (pod) (taffrail_config_restart_required{{{POD}}})", "{{pod}}"), limits=steps((None, GREEN), (1, YELLOW))),
    lines("Age of the configuration", "Since something of it last came into force.", "s", query(f"time() - max by (pod) (taffrail_config_last_reload_timestamp_seconds{{{POD}}})", "{{pod}}")),
]

LOSSES = [
    lines("Lost in export, by pod", "Items a second that no receiver will get.", "cps", query(f"sum by (pod, exporter, reason) (rate(taffrail_export_dropped_total{{{POD}}}[$__rate_interval]))", "{{pod}} {{exporter}} {{reason}}")),
    lines("Failed attempts, by pod", "Attempts a second to hand telemetry over that failed.", "cps", query(f'sum by (pod, exporter) (rate(taffrail_export_requests_total{{{POD}, outcome="failed"}}[$__rate_interval]))', "{{pod}} {{exporter}}")),
    lines("Dropped before analysis, by pod", "Exchanges a second that a full queue dropped.", "cps", query(f'sum by (pod) (rate(taffrail_capture_exchanges_total{{{POD}, outcome="dropped"}}[$__rate_interval]))', "{{pod}}")),
    lines("Lost for the archive, by pod", "Exchanges a second that were not recorded, and files that a killed process left unfinished.", "cps", [
        query(f'sum by (pod) (rate(taffrail_archive_exchanges_total{{{POD}, outcome="lost"}}[$__rate_interval]))', "lost {{pod}}"),
        query(f"sum by (pod) (rate(taffrail_archive_abandoned_files_total{{{POD}}}[$__rate_interval]))", "abandoned files {{pod}}"),
        query(f"sum by (pod) (rate(taffrail_archive_expired_files_total{{{POD}}}[$__rate_interval]))", "expired files {{pod}}"),
    ]),
    lines("Archive files, by pod", "Files on the volume; the oldest go at `archive.max_bytes`.", "short", query(f"max by (pod) (taffrail_archive_files{{{POD}}})", "{{pod}}")),
    states("Archive health, by pod", "failing from a write that went wrong until one succeeds.", query(f"min by (pod) (taffrail_archive_healthy{{{POD}}})", "{{pod}}"), HEALTH, size=(12, 8)),
]

DASHBOARD = dashboard(
    "taffrail-fleet",
    "Taffrail / Fleet",
    "The pods of a model side by side.",
    [JOB, NAMESPACE, MODEL_NAME, VERSION, PODS, WINDOWS],
    verdict_changes(POD),
    [("Now", NOW), ("Pods", PODS_TABLE), ("Traffic", TRAFFIC), ("Drift and coverage", DRIFT), ("Versions and baselines", BASELINES), ("Configuration", CONFIGURATION), ("Losses", LOSSES)],
)
