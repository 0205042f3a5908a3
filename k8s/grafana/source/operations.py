"""Traffic, latency, errors and saturation of a model's pods: what someone on call looks at first."""

from common import JOB, MODEL_NAME, NAMESPACE, NO_VERSION, POD, PODS, VERSION, verdict_changes
from panels import (
    COURSES, GREEN, HEALTH, RED, YELLOW, dashboard, heat, lines, query, stat, states, steps, table, table_query, variable,
)

ROUTE = 'http_route=~"$route"'
COUNT = f"http_server_request_duration_seconds_count{{{POD}, {ROUTE}}}"
BUCKET = f"http_server_request_duration_seconds_bucket{{{POD}, {ROUTE}}}"
CALL = f'http_client_request_duration_seconds_bucket{{{POD}, url_template=~"$route"}}'
FAILED = f'http_server_request_duration_seconds_count{{{POD}, {ROUTE}, error_type!=""}}'
# As taffrail-slo.yaml counts them: what a client did wrong, or gave up on, is none.
FAILURE = (
    f'(rate(http_server_request_duration_seconds_count{{{POD}, {ROUTE}, http_response_status_code=~"5.."}}[$__rate_interval])'
    f' or rate(http_server_request_duration_seconds_count{{{POD}, {ROUTE}, error_type=~"upstream_.+|request_timeout"}}[$__rate_interval]))'
)
BURNING = steps((None, GREEN), (1, YELLOW), (6, "orange"), (14.4, RED))


def quantile(q, buckets, by="le"):
    return f"histogram_quantile({q}, sum by ({by}) (rate({buckets}[$__rate_interval])))"


def recent(phase, q, by):
    """Exact within 1 %, of the last minute, of the slowest pod."""
    return f'max by ({by}) (taffrail_request_latency_seconds{{{POD}, {ROUTE}, phase="{phase}", quantile="{q}"}})'


NOW = [
    stat("Requests", "Requests a second, over all chosen pods.", "reqps", f"sum(rate({COUNT}[$__rate_interval]))"),
    stat(
        "Failed",
        "Share of requests that failed: answers of 500 and above, and what broke on the way. The objective as shipped is 0.1 %.",
        "percentunit",
        f"(sum({FAILURE}) or vector(0)) / (sum(rate({COUNT}[$__rate_interval])) > 0)",
        limits=steps((None, GREEN), (0.001, YELLOW), (0.01, RED)),
        decimals=2,
    ),
    stat(
        "p99",
        "99 of 100 requests of the last minute were faster, on the slowest pod and route.",
        "s",
        f'max(taffrail_request_latency_seconds{{{POD}, {ROUTE}, phase="total", quantile="0.99"}})',
        limits=steps((None, GREEN), (0.5, YELLOW), (1, RED)),
    ),
    stat(
        "Overhead p99",
        "Taffrail's own part of the time of a request: not the model's and not the network's.",
        "s",
        f'max(taffrail_request_latency_seconds{{{POD}, {ROUTE}, phase="overhead", quantile="0.99"}})',
        limits=steps((None, GREEN), (0.005, YELLOW), (0.02, RED)),
    ),
    stat(
        "Captured",
        "Share of the last quarter of an hour's exchanges that analysis received.",
        "percentunit",
        f"min(taffrail:coverage:15m{{{NO_VERSION}}})",
        limits=steps((None, RED), (0.05, YELLOW), (0.5, GREEN)),
        decimals=0,
    ),
    stat("Sidecars", "Pods that are being scraped.", "none", f"count(taffrail_capture_coverage{{{POD}}})", limits=steps((None, RED), (1, GREEN))),
]

TRAFFIC = [
    lines(
        "Requests by route and status",
        "Answers by route and status. No status means that the client got none.",
        "reqps",
        query(f"sum by (http_route, http_response_status_code) (rate({COUNT}[$__rate_interval]))", "{{http_route}} {{http_response_status_code}}"),
        stacked=True,
    ),
    states(
        "As usual?",
        "Whether errors and latency of any pod have risen or fallen against the last hour of traffic.",
        query(f"max by (signal) (taffrail_operation_change{{{POD}}}) > 0 or min by (signal) (taffrail_operation_change{{{POD}}})", "{{signal}}"),
        COURSES,
        size=(24, 6),
    ),
    lines(
        "Bytes",
        "Size of request and response bodies.",
        "Bps",
        [
            query(f"sum(rate(http_server_request_body_size_bytes_sum{{{POD}, {ROUTE}}}[$__rate_interval]))", "requests"),
            query(f"sum(rate(http_server_response_body_size_bytes_sum{{{POD}, {ROUTE}}}[$__rate_interval]))", "responses"),
        ],
    ),
    lines(
        "Requests under way, and connections",
        "Requests that wait for their answer now, and open connections of clients.",
        "short",
        [
            query(f"sum(http_server_active_requests{{{POD}}})", "requests under way"),
            query(f"sum(taffrail_server_connections{{{POD}}})", "connections"),
        ],
    ),
    lines(
        "Error budgets: how fast they burn",
        "Failures, and slow answers, as multiples of what the objectives in taffrail-thresholds.yaml allow. 1 uses the budget up in its thirty days; 14.4 in an hour is what wakes someone.",
        "none",
        [
            query(f"taffrail:failure_ratio:{window}{{{NO_VERSION}}} / on (namespace, model_name) taffrail:threshold:availability_budget", f"failed {window}")
            for window in ("5m", "1h", "6h")
        ]
        + [
            query(f"taffrail:slow_ratio:{window}{{{NO_VERSION}}} / on (namespace, model_name) taffrail:threshold:latency_budget", f"slow {window}")
            for window in ("5m", "1h", "6h")
        ],
        limits=BURNING,
    ),
]

LATENCY = [
    heat("What clients waited", "Requests by their duration. Bands apart are kinds of requests; a band that widens is queueing.", f"sum by (le) (rate({BUCKET}[$__rate_interval]))"),
    lines(
        "Percentiles",
        "From the histogram's buckets over all pods: within a bucket's width.",
        "s",
        [query(quantile(q, BUCKET), name) for q, name in ((0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99"), (0.999, "p99.9"))],
        log=True,
    ),
    lines(
        "Percentiles of the slowest pod",
        "As each pod measured them over its last minute, within 1 %. The slowest pod is shown: quantiles of pods cannot be averaged.",
        "s",
        query(f'max by (quantile) (taffrail_request_latency_seconds{{{POD}, {ROUTE}, phase="total"}})', "{{quantile}}"),
        log=True,
    ),
    lines(
        "p99 by phase",
        "Whose time it is: the model's (upstream), until the first byte, and Taffrail's own (overhead).",
        "s",
        query(f'max by (phase) (taffrail_request_latency_seconds{{{POD}, {ROUTE}, quantile="0.99"}})', "{{phase}}"),
        log=True,
    ),
    lines("p99 by route", "Of the slowest pod, in the last minute.", "s", query(recent("total", "0.99", "http_route"), "{{http_route}}"), log=True),
    heat("What the model took", "Calls to the model by their duration, without Taffrail and the client.", f"sum by (le) (rate({CALL}[$__rate_interval]))"),
    lines(
        "Overhead",
        "Taffrail's own part of the time, of the slowest pod. Growth means that the sidecar is short of CPU.",
        "s",
        query(f'max by (quantile) (taffrail_request_latency_seconds{{{POD}, {ROUTE}, phase="overhead"}})', "{{quantile}}"),
        limits=steps((None, GREEN), (0.005, YELLOW), (0.02, RED)),
    ),
    lines(
        "Slow answers",
        "Share of the answers over the limit in taffrail-slo.yaml (half a second as shipped).",
        "percentunit",
        [query(f"taffrail:slow_ratio:{window}{{{NO_VERSION}}}", window) for window in ("5m", "1h", "1d")],
        minimum=0,
        limits=steps((None, GREEN), (0.01, YELLOW), (0.144, RED)),
    ),
]

ERRORS = [
    lines("Errors by type", "upstream_… is the model or the way to it; client_… is a client's doing; a number is the model's own answer.", "reqps", query(f"sum by (error_type) (rate({FAILED}[$__rate_interval]))", "{{error_type}}"), stacked=True),
    lines(
        "Failed share",
        "Failures by window, without what clients did wrong. The line is the objective as shipped.",
        "percentunit",
        [query(f"taffrail:failure_ratio:{window}{{{NO_VERSION}}}", window) for window in ("5m", "1h", "1d")],
        minimum=0,
        limits=steps((None, GREEN), (0.001, RED)),
    ),
    stat(
        "Availability budget left",
        "Of the failures that three days may have, the share not used yet. Below 0 the objective is missed.",
        "percentunit",
        f"1 - taffrail:failure_ratio:3d{{{NO_VERSION}}} / on (namespace, model_name) taffrail:threshold:availability_budget",
        "{{namespace}}",
        size=(4, 8),
        limits=steps((None, RED), (0, YELLOW), (0.5, GREEN)),
    ),
    stat(
        "Latency budget left",
        "Of the slow answers that three days may have, the share not used yet. Below 0 the objective is missed.",
        "percentunit",
        f"1 - taffrail:slow_ratio:3d{{{NO_VERSION}}} / on (namespace, model_name) taffrail:threshold:latency_budget",
        "{{namespace}}",
        size=(4, 8),
        limits=steps((None, RED), (0, YELLOW), (0.5, GREEN)),
    ),
    table(
        "Errors by pod",
        "Errors a second by pod, route and type: one pod is a node or a replica, all of them a release or a dependency.",
        table_query(f"sum by (pod, http_route, http_response_status_code, error_type) (rate({FAILED}[$__rate_interval])) > 0"),
        {
            "pod": ("Pod", None, None),
            "http_route": ("Route", None, None),
            "http_response_status_code": ("Status", None, None),
            "error_type": ("Error", None, None),
            "Value": ("Errors a second", "reqps", None),
        },
        size=(16, 8),
        sort="Errors a second",
    ),
]

QUEUE = steps((None, GREEN), (0.5, YELLOW), (0.9, RED))
SATURATION = [
    lines(
        "Capture queue",
        "How full the queue before analysis is, of its limits. Full, it drops; traffic does not wait for it.",
        "percentunit",
        [
            query(f"max(taffrail_capture_queue_length{{{POD}}} / taffrail_capture_queue_length_limit{{{POD}}})", "exchanges"),
            query(f"max(taffrail_capture_queue_size_bytes{{{POD}}} / taffrail_capture_queue_size_limit_bytes{{{POD}}})", "bytes"),
        ],
        minimum=0,
        maximum=1,
        limits=QUEUE,
    ),
    lines(
        "What became of exchanges",
        "kept by analysis, sampled_out within its CPU budget, or dropped by a full queue; truncated and undecodable ones are among the kept.",
        "cps",
        query(f"sum by (outcome, reason) (rate(taffrail_capture_exchanges_total{{{POD}}}[$__rate_interval]))", "{{outcome}} {{reason}}"),
    ),
    lines(
        "Captured share",
        "Of the exchanges of a quarter of an hour. The line is where TaffrailLowCoverage fires as shipped.",
        "percentunit",
        query(f"taffrail:coverage:15m{{{NO_VERSION}}}", "{{namespace}}"),
        minimum=0,
        maximum=1,
        limits=steps((None, RED), (0.05, GREEN)),
    ),
    lines(
        "Export",
        "Spans, events and points handed over, and lost, by exporter.",
        "cps",
        [
            query(f"sum by (exporter, signal) (rate(taffrail_export_sent_total{{{POD}}}[$__rate_interval]))", "sent {{exporter}} {{signal}}"),
            query(f"sum by (exporter, signal, reason) (rate(taffrail_export_dropped_total{{{POD}}}[$__rate_interval]))", "lost {{exporter}} {{signal}} {{reason}}"),
        ],
    ),
    lines(
        "Export attempts and queue",
        "Failed attempts mean that the receiver is away; what waits is lost once the queue is full.",
        "short",
        [
            query(f'sum by (exporter) (rate(taffrail_export_requests_total{{{POD}, outcome="failed"}}[$__rate_interval]))', "failed a second {{exporter}}"),
            query(f"sum by (exporter) (taffrail_export_queue_length{{{POD}}})", "waiting {{exporter}}"),
        ],
    ),
    lines(
        "Refused and cut",
        "Items that Application Insights did not take, by its status, and texts cut to fit its limits. Empty without that exporter.",
        "cps",
        [
            query(f"sum by (signal, http_response_status_code) (rate(taffrail_export_refused_total{{{POD}}}[$__rate_interval]))", "refused {{signal}} {{http_response_status_code}}"),
            query(f"sum by (signal) (rate(taffrail_export_cut_total{{{POD}}}[$__rate_interval]))", "cut {{signal}}"),
        ],
        size=(12, 8),
    ),
    lines(
        "Buffer on disk for export",
        "How full it is, of its limit: what waits for a receiver that is away. Full, the oldest goes.",
        "percentunit",
        query(f"max by (pod, exporter) (taffrail_export_buffer_size_bytes{{{POD}}} / taffrail_export_buffer_size_limit_bytes{{{POD}}})", "{{pod}} {{exporter}}"),
        size=(12, 8),
        minimum=0,
        maximum=1,
        limits=QUEUE,
    ),
    states(
        "Health of the buffer",
        "failing from a use of the disk that went wrong until one succeeds. Empty without the exporter to Application Insights.",
        query(f"min by (pod) (taffrail_export_buffer_healthy{{{POD}}})", "{{pod}}"),
        HEALTH,
        size=(12, 8),
    ),
    lines(
        "Archive",
        "Exchanges that were written, and those that were lost.",
        "cps",
        query(f"sum by (outcome) (rate(taffrail_archive_exchanges_total{{{POD}}}[$__rate_interval]))", "{{outcome}}"),
        size=(12, 8),
    ),
    lines(
        "Archive size",
        "Bytes on each pod's volume. At `archive.max_bytes` the oldest files go.",
        "bytes",
        query(f"max by (pod) (taffrail_archive_size_bytes{{{POD}}})", "{{pod}}"),
        size=(12, 8),
    ),
    states(
        "Archive health",
        "failing from a write that went wrong until one succeeds.",
        query(f"min by (pod) (taffrail_archive_healthy{{{POD}}})", "{{pod}}"),
        HEALTH,
        size=(12, 8),
    ),
    states(
        "Saving of open windows",
        "failing from a save that went wrong until one succeeds: a restart would lose what came since.",
        query(f"min by (pod) (taffrail_state_healthy{{{POD}}})", "{{pod}}"),
        HEALTH,
        size=(12, 8),
    ),
    lines(
        "Since open windows were saved",
        "Age of the last save by pod: what a kill would lose. It is seconds, and at most ten where the disk keeps up.",
        "s",
        query(f"max by (pod) (time() - taffrail_state_last_save_timestamp_seconds{{{POD}}})", "{{pod}}"),
        size=(12, 8),
        minimum=0,
    ),
    lines(
        "Restarts and saved windows",
        "Saves that failed, states that the start could not go on with, and the seconds in which nobody watched before it.",
        "short",
        [
            query(f'sum by (pod) (increase(taffrail_state_saves_total{{{POD}, outcome="failed"}}[$__rate_interval]))', "failed {{pod}}"),
            query(f"sum by (pod) (taffrail_state_rejected_total{{{POD}}})", "set aside {{pod}}"),
            query(f"max by (pod) (taffrail_state_unwatched_seconds{{{POD}}})", "not watched, s {{pod}}"),
        ],
        size=(12, 8),
        minimum=0,
    ),
    lines(
        "Saved and held windows",
        "Bytes of open windows on disk, and of earlier windows in memory beside their bound.",
        "bytes",
        [
            query(f"max by (pod) (taffrail_state_size_bytes{{{POD}}})", "on disk {{pod}}"),
            query(f"max by (pod) (taffrail_drift_reference_size_bytes{{{POD}}})", "held {{pod}}"),
            query(f"max by (pod) (taffrail_drift_reference_size_limit_bytes{{{POD}}})", "bound {{pod}}"),
        ],
        size=(12, 8),
        minimum=0,
    ),
    lines(
        "Earlier windows let go",
        "Windows that references could have asked for, let go because memory has no room for them.",
        "short",
        query(f"sum by (pod) (increase(taffrail_drift_reference_forgotten_total{{{POD}}}[$__rate_interval]))", "{{pod}}"),
        size=(12, 8),
        minimum=0,
    ),
]

ROUTES = variable(
    "route", "Route", f"label_values(http_server_request_duration_seconds_count{{{POD}}}, http_route)", "Templates of paths, as Taffrail names them."
)
DASHBOARD = dashboard(
    "taffrail-operations",
    "Taffrail / Operations",
    "Is the model answering, how fast, and does the sidecar keep up.",
    [JOB, NAMESPACE, MODEL_NAME, VERSION, PODS, ROUTES],
    verdict_changes(POD),
    [("Now", NOW), ("Traffic", TRAFFIC), ("Latency", LATENCY), ("Errors", ERRORS), ("Saturation and losses", SATURATION)],
    span="now-1h",
)
