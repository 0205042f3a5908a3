"""What the dashboards share: how series are chosen, and marks on the time axis."""

from panels import RED, annotation, variable

# What a pod exports, and what is recorded of a fleet, which has neither job nor pod.
MODEL = 'namespace=~"$namespace", model_name=~"$model_name", model_version=~"$model_version"'
POD = f'job=~"$job", {MODEL}, pod=~"$pod"'
NO_VERSION = 'namespace=~"$namespace", model_name=~"$model_name"'
KNOWN = "taffrail_capture_coverage"

JOB = variable("job", "Job", f"label_values({KNOWN}, job)", "The scrape job; a PodMonitor's is namespace/name.")
NAMESPACE = variable("namespace", "Namespace", f'label_values({KNOWN}{{job=~"$job"}}, namespace)', "Of the pods.")
MODEL_NAME = variable(
    "model_name", "Model", f'label_values({KNOWN}{{namespace=~"$namespace"}}, model_name)', "`model.name` of the sidecars.", several=False
)
VERSION = variable(
    "model_version",
    "Version",
    f'label_values({KNOWN}{{{NO_VERSION}}}, model_version)',
    "`model.version` of the sidecars.",
)
PODS = variable("pod", "Pod", f'label_values({KNOWN}{{job=~"$job", {MODEL}}}, pod)', "Pods of the model.")


def drifting(selector, of_time=None):
    series = f'taffrail_drift_verdict{{verdict="drifting", {selector}}}'
    series = f"{of_time}_over_time({series}[2m])" if of_time else series
    return f"max by (namespace, model_name, model_version, window) ({series})"


def verdict_changes(selector):
    labels = "{{window}} windows of {{model_name}} {{model_version}}"
    began = f"{drifting(selector)} == 1 and {drifting(selector, 'min')} == 0"
    ended = f"{drifting(selector, 'max')} == 1 unless {drifting(selector)} == 1"
    alerts = f'ALERTS{{alertname=~"Taffrail.+", alertstate="firing", {NO_VERSION}}}'
    return [
        annotation("Drift began", RED, began, "Drift began", labels),
        annotation("Drift ended", "green", ended, "Drift ended", labels),
        annotation("Alerts", "orange", alerts, "{{alertname}}", "{{severity}} {{feature}} {{window}}", shown=False),
    ]


