#!/usr/bin/env python3
"""Makes workbook.json, alerts.json and taffrail.json, the template without Bicep, of queries.kql.

build.py            writes them
build.py --check    exit 1 if one of them is not what would be written
"""

import json
import pathlib
import sys
import uuid

HERE = pathlib.Path(__file__).resolve().parent
COMPONENT = "microsoft.insights/components"
RULES = "Microsoft.Insights/scheduledQueryRules"
RULES_VERSION = "2023-12-01"
WORKBOOKS = "Microsoft.Insights/workbooks"
WORKBOOKS_VERSION = "2023-06-01"

GRAIN = "let grain = 5m;"
SCOPE = "| where true // scope"
IN_WORKBOOK = {
    GRAIN: "let grain = {TimeRange:grain};",
    SCOPE: "\n".join(
        f"| where '*' in ({{{chosen}}}) or {said} in ({{{chosen}}})"
        for chosen, said in (
            ("Model", "tostring(customDimensions['model.name'])"),
            ("Version", "tostring(customDimensions['model.version'])"),
            ("Instance", "cloud_RoleInstance"),
        )
    ),
}

IN_TIME_RANGE = {"timeContext": {"durationMs": 0}, "timeContextFromParameter": "TimeRange"}

# Title, query, how it is shown, share of the width.
SECTIONS = {
    "Overview": [
        ("Versions", "versions", "table", 100),
        ("Requests", "traffic", "barchart", 50),
        ("Failed, %", "failures", "linechart", 50),
    ],
    "Latency": [
        ("What clients waited, ms", "latency-percentiles", "linechart", 50),
        ("The slowest instance, by quantile, ms", "latency-of-the-slowest-instance", "linechart", 50),
        ("Where the time goes: p99 by phase, ms", "latency-by-phase", "linechart", 50),
        ("Routes", "latency-by-route", "table", 50),
    ],
    "Failures": [
        ("Why", "failures-by-error", "table", 50),
        ("Calls to the model", "calls-to-the-model", "table", 50),
    ],
    "Drift": [
        ("Features now", "drift-now", "table", 100),
        ("Distance from the baseline", "drift-over-time", "linechart", 50),
        ("Verdicts that changed", "drift-changes", "table", 50),
    ],
    "Quality": [("Features now, % of rows", "quality", "table", 100)],
    "Performance, where labels have come": [
        ("Measures", "performance", "linechart", 50),
        ("Errors of a regression", "performance-errors", "linechart", 50),
    ],
    "How much of it all was seen": [
        ("Coverage, %", "coverage", "linechart", 50),
        ("Lost, and why", "losses", "table", 50),
    ],
}

# What fires when. `measure` is a column of the query; `by` its dimensions, each with an alert of its own.
ALERTS = [
    {
        "name": "latency",
        "title": "The model is slow",
        "says": "p99 of what clients waited is over the threshold, in seconds.",
        "measure": "p99_seconds",
        "by": ["model", "version"],
        "operator": "GreaterThan",
        "threshold": 1,
        "window": "PT15M",
        "every": "PT5M",
        "failing": [2, 3],
        "severity": 2,
    },
    {
        "name": "failures",
        "title": "Requests to the model fail",
        "says": "The share of requests that failed is over the threshold, in percent.",
        "measure": "failed_percent",
        "by": ["model", "version"],
        "operator": "GreaterThan",
        "threshold": 5,
        "window": "PT15M",
        "every": "PT5M",
        "failing": [1, 1],
        "severity": 1,
    },
    {
        "name": "drift",
        "title": "Live data drifts from the baseline",
        "says": "More features than the threshold drift: significantly, and by as much as matters.",
        "measure": "drifting",
        "by": ["model", "version"],
        "operator": "GreaterThan",
        "threshold": 0,
        "window": "PT30M",
        "every": "PT15M",
        "failing": [1, 1],
        "severity": 3,
    },
    {
        "name": "quality",
        "title": "The data a model is asked with is broken",
        "says": "More rows than the threshold, in percent, are null, of the wrong type, out of bounds or new.",
        "measure": "worst_percent",
        "by": ["model", "version", "feature"],
        "operator": "GreaterThan",
        "threshold": 10,
        "window": "PT30M",
        "every": "PT15M",
        "failing": [1, 1],
        "severity": 3,
    },
    {
        "name": "coverage",
        "title": "Verdicts rest on little of the traffic",
        "says": "Analysis received less of the exchanges than the threshold, in percent.",
        "measure": "lowest_percent",
        "by": ["model", "version"],
        "operator": "LessThan",
        "threshold": 10,
        "window": "PT30M",
        "every": "PT15M",
        "failing": [2, 2],
        "severity": 3,
    },
    {
        "name": "export",
        "title": "Telemetry is lost",
        "says": "More spans, events and metric points than the threshold could not be delivered.",
        "measure": "lost",
        "by": ["model", "exporter", "signal"],
        "operator": "GreaterThan",
        "threshold": 0,
        "window": "PT30M",
        "every": "PT15M",
        "failing": [2, 2],
        "severity": 3,
        "aggregation": "Total",
    },
    {
        "name": "silence",
        "title": "Nothing is heard of any sidecar",
        "says": "Fewer instances than the threshold say anything, though they do without requests too.",
        "measure": "instances",
        "by": [],
        "operator": "LessThan",
        "threshold": 1,
        "window": "PT15M",
        "every": "PT5M",
        "failing": [1, 1],
        "severity": 2,
    },
]


def queries():
    """By name: what it answers, and the query."""
    found = {}
    for part in (HERE / "queries.kql").read_text().split("\n// ## ")[1:]:
        name, rest = part.split("\n", 1)
        lines = rest.strip().splitlines()
        said = [line.removeprefix("// ") for line in lines if line.startswith("// ")]
        found[name] = " ".join(said), "\n".join(lines[len(said) :])
    return found


def in_workbook(query):
    for written, instead in IN_WORKBOOK.items():
        query = query.replace(written, instead)
    return query


def identity(name):
    """The same each time, so that nothing changes where nothing did."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"taffrail/workbook/{name}"))


def choice(name, label, expression):
    query = (
        "union requests, customMetrics\n"
        f"| extend value = {expression}\n"
        "| where isnotempty(value)\n"
        "| summarize by value\n"
        "| order by value asc"
    )
    return {
        "id": identity(name),
        "version": "KqlParameterItem/1.0",
        "name": name,
        "label": label,
        "type": 2,
        "isRequired": True,
        "multiSelect": True,
        "quote": "'",
        "delimiter": ",",
        "query": query,
        "typeSettings": {"additionalResourceOptions": ["value::all"], "selectAllValue": "*", "showDefault": False},
        **IN_TIME_RANGE,
        "queryType": 0,
        "resourceType": COMPONENT,
        "defaultValue": "value::all",
        "value": ["value::all"],
    }


def parameters():
    durations = [(1, 3600), (4, 3600), (12, 3600), (1, 86400), (3, 86400), (7, 86400), (30, 86400)]
    time_range = {
        "id": identity("TimeRange"),
        "version": "KqlParameterItem/1.0",
        "name": "TimeRange",
        "label": "Time range",
        "type": 4,
        "isRequired": True,
        "value": {"durationMs": 86400000},
        "typeSettings": {
            "selectableValues": [{"durationMs": count * unit * 1000} for count, unit in durations],
            "allowCustom": True,
        },
    }
    choices = [
        choice("Model", "Model", "tostring(customDimensions['model.name'])"),
        choice("Version", "Version", "tostring(customDimensions['model.version'])"),
        choice("Instance", "Instance", "cloud_RoleInstance"),
    ]
    return {
        "type": 9,
        "content": {
            "version": "KqlParameterItem/1.0",
            "parameters": [time_range, *choices],
            "style": "pills",
            "queryType": 0,
            "resourceType": COMPONENT,
        },
        "name": "parameters",
    }


def text(name, markdown):
    return {"type": 1, "content": {"json": markdown}, "name": name}


def shown(title, name, visualization, width, query):
    content = {
        "version": "KqlItem/1.0",
        "query": in_workbook(query),
        "size": 0,
        "title": title,
        "noDataMessage": "Nothing of this kind arrived in the time range.",
        **IN_TIME_RANGE,
        "queryType": 0,
        "resourceType": COMPONENT,
        "visualization": visualization,
    }
    return {"type": 3, "content": content, "customWidth": str(width), "name": name}


def workbook(all_queries):
    items = [
        text("about", "# Taffrail\nLatency, failures, drift, quality and performance of served models."),
        parameters(),
    ]
    for section, charts in SECTIONS.items():
        items.append(text(f"section {section}", f"## {section}"))
        items += [shown(title, name, kind, width, all_queries[name][1]) for title, name, kind, width in charts]
    return {
        "version": "Notebook/1.0",
        "items": items,
        "fallbackResourceIds": [],
        "$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json",
    }


def alerts(all_queries):
    rules = []
    for alert in ALERTS:
        aggregation = alert.get("aggregation", "Minimum" if alert["operator"] == "LessThan" else "Maximum")
        failing, of = alert["failing"]
        rule = {
            key: alert[key] for key in ("name", "title", "says", "severity", "window", "every", "operator", "measure")
        }
        rule |= {"aggregation": aggregation, "failing": failing, "of": of}
        rule["dimensions"] = [{"name": one, "operator": "Include", "values": ["*"]} for one in alert["by"]]
        rule["query"] = all_queries[f"alert-{alert['name']}"][1].replace(f"{SCOPE}\n", "")
        rules.append(rule)
    return {"thresholds": {alert["name"]: alert["threshold"] for alert in ALERTS}, "rules": rules}


def template(made_workbook, made_alerts):
    """The same as taffrail.bicep, for whom Bicep is not at hand."""
    here = "[resourceGroup().location]"
    rule = "variables('alerts').rules[copyIndex()]"
    criterion = {
        "query": f"[{rule}.query]",
        "timeAggregation": f"[{rule}.aggregation]",
        "metricMeasureColumn": f"[{rule}.measure]",
        "dimensions": f"[{rule}.dimensions]",
        "operator": f"[{rule}.operator]",
        "threshold": f"[variables('limits')[{rule}.name]]",
        "failingPeriods": {
            "numberOfEvaluationPeriods": f"[{rule}.of]",
            "minFailingPeriodsToAlert": f"[{rule}.failing]",
        },
    }
    rules = {
        "copy": {"name": "rules", "count": "[length(variables('alerts').rules)]"},
        "type": RULES,
        "apiVersion": RULES_VERSION,
        "name": f"[format('{{0}}-{{1}}', parameters('prefix'), {rule}.name)]",
        "location": "[parameters('location')]",
        "kind": "LogAlert",
        "properties": {
            "displayName": f"[format('{{0}}: {{1}}', parameters('prefix'), {rule}.title)]",
            "description": f"[{rule}.says]",
            "severity": f"[{rule}.severity]",
            "enabled": "[not(contains(parameters('disabled'), " + f"{rule}.name))]",
            "scopes": ["[parameters('applicationInsightsId')]"],
            "targetResourceTypes": [COMPONENT],
            "evaluationFrequency": f"[{rule}.every]",
            "windowSize": f"[{rule}.window]",
            "criteria": {"allOf": [criterion]},
            "autoMitigate": True,
            "actions": {"actionGroups": "[variables('actionGroups')]"},
        },
    }
    book = {
        "type": WORKBOOKS,
        "apiVersion": WORKBOOKS_VERSION,
        "name": "[guid(resourceGroup().id, parameters('applicationInsightsId'), 'taffrail')]",
        "location": "[parameters('location')]",
        "kind": "shared",
        "properties": {
            "displayName": "[parameters('workbookName')]",
            "category": "workbook",
            "sourceId": "[parameters('applicationInsightsId')]",
            "serializedData": "[string(variables('workbook'))]",
        },
    }
    group = "parameters('actionGroupId')"
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "applicationInsightsId": {"type": "string"},
            "actionGroupId": {"type": "string", "defaultValue": ""},
            "location": {"type": "string", "defaultValue": here},
            "prefix": {"type": "string", "defaultValue": "taffrail"},
            "workbookName": {"type": "string", "defaultValue": "Taffrail"},
            "thresholds": {"type": "object", "defaultValue": {}},
            "disabled": {"type": "array", "defaultValue": []},
        },
        "variables": {
            "alerts": escaped(made_alerts),
            "workbook": escaped(made_workbook),
            "limits": "[union(variables('alerts').thresholds, parameters('thresholds'))]",
            "actionGroups": f"[if(empty({group}), createArray(), createArray({group}))]",
        },
        "resources": [book, rules],
    }


def escaped(value):
    """A text that begins with a bracket would be taken for an expression."""
    if isinstance(value, dict):
        return {key: escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [escaped(one) for one in value]
    return f"[{value}" if isinstance(value, str) and value.startswith("[") else value


def made():
    all_queries = queries()
    made_workbook, made_alerts = workbook(all_queries), alerts(all_queries)
    return {
        "workbook.json": made_workbook,
        "alerts.json": made_alerts,
        "taffrail.json": template(made_workbook, made_alerts),
    }


def main():
    stale = []
    for name, value in made().items():
        written = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        path = HERE / name
        if sys.argv[1:] != ["--check"]:
            path.write_text(written)
        elif not path.exists() or path.read_text() != written:
            stale.append(name)
    if stale:
        sys.exit(f"not what build.py makes of queries.kql: {', '.join(stale)}; run k8s/azure/build.py")


if __name__ == "__main__":
    main()
