"""One feature in depth: its distribution beside the baseline's, and how far apart they were when."""

from common import JOB, MODEL, MODEL_NAME, NAMESPACE, POD, PODS, VERSION, verdict_changes
from model import FLEET_WINDOW, PSI, WINDOWS
from panels import GREEN, RED, YES_NO, bars, dashboard, lines, query, states, steps, table, table_query, variable

ONE = 'feature="$feature", role="$role"'
LIVE = f"{POD}, {ONE}"
FLEET = f"{MODEL}, {ONE}"
WINDOW = 'window=~"$window"'
SHARE = f"sum by (bin) (taffrail:feature_rows:increase${{fleet_window}}{{{FLEET}}}) / ignoring (bin) group_left () (sum(taffrail:feature_rows:increase${{fleet_window}}{{{FLEET}}}) > 0)"
BASE = f"max by (bin) (taffrail_baseline_share{{{LIVE}}})"
FLOORED_LIVE, FLOORED_BASE = f"clamp_min({SHARE}, 1e-4)", f"clamp_min({BASE}, 1e-4)"
CHECKS = {"null": "null", "type_error": "wrong type", "out_of_bounds": "out of bounds", "new_category": "new category"}
BY_BIN = [
    {"id": "merge", "options": {}},
    {
        "id": "organize",
        "options": {
            "excludeByName": {"Time": True},
            "indexByName": {"bin": 0, "Value #A": 1, "Value #B": 2},
            "renameByName": {"Value #A": "baseline", "Value #B": "live"},
        },
    },
]

DISTRIBUTION = [
    bars("Live beside baseline", "Share of rows in each of the baseline's bins: of all pods over the fleet window, and of the baseline.", "percentunit", [table_query(BASE), table_query(SHARE)], transform=BY_BIN, size=(14, 10)),
    table(
        "Which bins make the difference",
        "What each bin adds to the PSI: (live − baseline) · ln(live / baseline), shares of under 0.0001 taken as that.",
        [table_query(BASE), table_query(SHARE), table_query(f"({FLOORED_LIVE} - {FLOORED_BASE}) * ln({FLOORED_LIVE} / {FLOORED_BASE})")],
        {
            "bin": ("Bin", None, None),
            "Value #A": ("Baseline", "percentunit", None),
            "Value #B": ("Live", "percentunit", None),
            "Value #C": ("Adds to PSI", "none", steps((None, GREEN), (0.02, "yellow"), (0.1, RED))),
        },
        size=(10, 10),
        sort="Adds to PSI",
    ),
    lines("Rows by bin", "Live rows a second in each bin, over the chosen pods: when a shift began, and where.", "rowsps", query(f"sum by (bin) (rate(taffrail_feature_rows_total{{{LIVE}}}[$__rate_interval]))", "{{bin}}"), stacked=True, size=(24, 8)),
]

DISTANCE = [
    lines("Distances", "Of the last closed window, of the pod that is farthest. All but Wasserstein and PSI are at most 1.", "none", query(f'max by (method) (taffrail_drift_distance{{{LIVE}, {WINDOW}, method!="chi_squared"}})', "{{method}}"), minimum=0),
    lines("Chi-squared", "The statistic of the last closed window, of the pod that is farthest. It grows with the rows.", "none", query(f'max by (pod) (taffrail_drift_distance{{{LIVE}, {WINDOW}, method="chi_squared"}})', "{{pod}}"), minimum=0),
    lines("p-value", "Of the last closed window by pod, before the correction for many features. Under the line it is rare by chance.", "sci", query(f"min by (pod) (taffrail_drift_p_value{{{LIVE}, {WINDOW}}})", "{{pod}}"), log=True, limits=steps((None, RED), (0.01, GREEN))),
    states("Significant", "yes where the difference of a pod's last closed window is not chance, at `drift.false_discovery_rate`.", query(f"max by (pod) (taffrail_drift_significant{{{LIVE}, {WINDOW}}})", "{{pod}}"), YES_NO, size=(12, 8)),
    states("Detected", "yes where it is significant and of a size worth acting on: the verdict.", query(f"max by (pod) (taffrail_drift_detected{{{LIVE}, {WINDOW}}})", "{{pod}}"), YES_NO, size=(24, 6)),
    lines("Effect", "Size of the difference in the last closed window, by pod: PSI less what chance alone would give at this number of rows.", "none", query(f"max by (pod) (taffrail_drift_effect{{{LIVE}, {WINDOW}}})", "{{pod}}"), minimum=0),
    lines("Design effect", "Rows over independent rows that would tell as much, by pod. Rows of one user or request are alike, and days differ: tests are as much wider.", "none", query(f"max by (pod) (taffrail_drift_design_effect{{{LIVE}, {WINDOW}}})", "{{pod}}"), minimum=0),
    states("Seasonal", "yes where the feature differs from the baseline as a whole but not from the baseline at the same hours of the day: no drift.", query(f"max by (pod) (taffrail_drift_seasonal{{{LIVE}, {WINDOW}}})", "{{pod}}"), YES_NO, size=(24, 6)),
]

REFERENCE = "{{reference}} {{pod}}"
EARLIER = [
    states("Differs from earlier windows", "yes where the last closed window differs from the one of `drift.references`, by the rule of the verdict: a cycle of the day is in both, a change is not. Empty where none is asked for.", query(f"max by (reference, pod) (taffrail_drift_reference_detected{{{LIVE}, {WINDOW}}})", REFERENCE), YES_NO, size=(24, 6)),
    states("Significant against earlier windows", "yes where the difference is not chance, whatever its size.", query(f"max by (reference, pod) (taffrail_drift_reference_significant{{{LIVE}, {WINDOW}}})", REFERENCE), YES_NO, size=(12, 8)),
    lines("p-value against earlier windows", "Of the last closed window, before the correction for many features.", "sci", query(f"min by (reference, pod) (taffrail_drift_reference_p_value{{{LIVE}, {WINDOW}}})", REFERENCE), log=True, limits=steps((None, RED), (0.01, GREEN))),
    lines("Distance from earlier windows", "PSI and Jensen-Shannon, of the pod that is farthest.", "none", query(f"max by (reference, method) (taffrail_drift_reference_distance{{{LIVE}, {WINDOW}}})", "{{reference}} {{method}}"), minimum=0),
    lines("Rows of earlier windows", "What the comparison stands on, beside the rows of the last closed window.", "short", [query(f"min by (reference, pod) (taffrail_drift_reference_rows{{{LIVE}, {WINDOW}}})", REFERENCE), query(f"min by (pod) (taffrail_drift_rows{{{POD}, {WINDOW}}})", "now {{pod}}")], minimum=0),
]

FLEET_AND_POD = [
    lines(
        "PSI: fleet and pods",
        "The fleet's, of all pods' rows together, beside each pod's own. One pod apart points at its callers or its version; all together at the data.",
        "none",
        [
            query(f"max(taffrail:psi_corrected:${{fleet_window}}{{{FLEET}}})", "fleet, bias taken off"),
            query(f"max by (pod) (taffrail_drift_distance{{{LIVE}, {WINDOW}, method=\"psi\"}})", "{{pod}}"),
        ],
        limits=PSI,
    ),
    lines(
        "Jensen-Shannon: fleet and pods",
        "The distance, the root of the divergence with logarithms to base 2: 0 is the same, 1 is disjoint.",
        "none",
        [
            query(f"max(taffrail:jensen_shannon:${{fleet_window}}{{{FLEET}}})", "fleet"),
            query(f"max by (pod) (taffrail_drift_distance{{{LIVE}, {WINDOW}, method=\"jensen_shannon\"}})", "{{pod}}"),
        ],
        minimum=0,
    ),
    lines(
        "Is it more than chance",
        "The fleet's PSI as counted, what its size alone makes of it (bias), and what chance exceeds once in ten thousand windows.",
        "none",
        [
            query(f"max(taffrail:psi:${{fleet_window}}{{{FLEET}}})", "PSI"),
            query(f"max(taffrail:psi_bias:${{fleet_window}}{{{FLEET}}})", "bias"),
            query(f"max(taffrail:psi_chance:${{fleet_window}}{{{FLEET}}})", "chance"),
        ],
    ),
    lines("Rows of the fleet", "Rows that the fleet's distances stand on. Under 500 TaffrailFleetDrift is silent.", "short", query(f"sum by (hash) (taffrail:rows:increase${{fleet_window}}{{{FLEET}}})", "baseline {{hash}}"), limits=steps((None, RED), (500, GREEN))),
    lines("Live beside baseline over time", "Share of the fleet's rows in each bin over the fleet window.", "percentunit", query(f"max by (bin) (taffrail:feature_share:${{fleet_window}}{{{FLEET}}})", "{{bin}}"), stacked=True, size=(24, 8)),
]

QUALITY = [
    lines("Quality of a quarter of an hour", "Share of the rows that each check found.", "percentunit", [query(f'max(taffrail:quality_ratio:15m{{{FLEET}, check="{check}"}})', name) for check, name in CHECKS.items()], minimum=0, limits=steps((None, GREEN), (0.05, RED))),
    lines("Quality since the start, by pod", "The largest of the four shares on each pod.", "percentunit", [query(f"max by (pod) (taffrail_quality_{check}_ratio{{{LIVE}}})", f"{name} {{{{pod}}}}") for check, name in CHECKS.items()], minimum=0),
    states(
        "Checks that fail",
        "1 where the last closed window fails a check: more than the baseline's share, beyond chance, and worth acting on.",
        query(f"max by (check) (taffrail_quality_detected{{{LIVE}, {WINDOW}}})", "{{check}}"),
        YES_NO,
    ),
    lines(
        "Checks of the last window beside the baseline",
        "Share of the last closed window's rows that each check found, and the baseline's.",
        "percentunit",
        [
            query(f"max by (check) (taffrail_quality_window_ratio{{{LIVE}, {WINDOW}}})", "{{check}}"),
            query(f"max by (check) (taffrail_quality_baseline_ratio{{{LIVE}}})", "{{check}} of the baseline"),
        ],
        minimum=0,
    ),
    lines("p-values of the checks", "Of the last closed window's share against the baseline's, before correction for many checks.", "sci", query(f"min by (check) (taffrail_quality_p_value{{{LIVE}, {WINDOW}}})", "{{check}}"), minimum=0),
]

ROLES = variable("role", "Role", f"label_values(taffrail_baseline_share{{{POD}}}, role)", "Input or output of the model.", several=False)
NAMES = variable("feature", "Feature", f'label_values(taffrail_baseline_share{{{POD}, role="$role"}}, feature)', "As the payload names it.", several=False)
DASHBOARD = dashboard(
    "taffrail-feature",
    "Taffrail / Feature",
    "One feature beside its baseline.",
    [JOB, NAMESPACE, MODEL_NAME, VERSION, PODS, ROLES, NAMES, WINDOWS, FLEET_WINDOW],
    verdict_changes(POD),
    [("Distribution", DISTRIBUTION), ("Distance of the pods' windows", DISTANCE), ("Against earlier windows", EARLIER), ("Fleet and pod", FLEET_AND_POD), ("Quality", QUALITY)],
    span="now-24h",
)
