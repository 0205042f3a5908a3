"""The workbook and the alert rules for Application Insights: their queries are Kusto's, name what Taffrail
sends, say the right thing of it, and what deploys them is what Azure takes."""

import importlib.util
import json
import random
import re
import subprocess
import time
import sys

import pytest
from azure.mgmt.applicationinsights.v2023_06_01.models import Workbook
from azure.mgmt.monitor import models as monitor
from conftest import (
    BINARY,
    INFER,
    ROOT,
    VENVS,
    FailingUpstream,
    Sidecar,
    exchange,
    gaussian_rows,
    infer_body,
    wait_until,
    write_csv,
)
from deployment import Bicep, Template
from ingestion import Ingestion, connection
from insights import TABLES, Resource

AZURE = ROOT / "k8s/azure"
MODULES = VENVS / "node/node_modules"
COMPONENT = "/subscriptions/s/resourceGroups/g/providers/microsoft.insights/components/c"
GROUP = "/subscriptions/s/resourceGroups/g/providers/microsoft.insights/actionGroups/a"
GIVEN = {"applicationInsightsId": COMPONENT, "actionGroupId": GROUP}
CHANGED = {**GIVEN, "thresholds": {"latency": 7}, "disabled": ["silence"], "prefix": "ml", "location": "northeurope"}
# What a workbook puts in for what was chosen.
CHOSEN = {"{TimeRange:grain}": "1m", "{Model}": "'*'", "{Version}": "'3'", "{Instance}": "'*'"}

specification = importlib.util.spec_from_file_location("azure_build", AZURE / "build.py")
build = importlib.util.module_from_spec(specification)
specification.loader.exec_module(build)

QUERIES = {name: query for name, (_, query) in build.queries().items()}
ALERTS = json.loads((AZURE / "alerts.json").read_text())
WORKBOOK = json.loads((AZURE / "workbook.json").read_text())


def of_workbook():
    """By name, with something chosen."""
    found = {}
    for item in WORKBOOK["items"]:
        for one in [item, *item["content"].get("parameters", [])]:
            query = one.get("query") or one.get("content", {}).get("query")
            if query:
                for parameter, value in CHOSEN.items():
                    query = query.replace(parameter, value)
                found[f"workbook {one['name']}"] = query
    return found


def of_alerts():
    return {f"alert {rule['name']}": rule["query"] for rule in ALERTS["rules"]}


EVERY = {**QUERIES, **of_workbook(), **of_alerts()}


def analysed(queries):
    given = json.dumps([{"name": name, "query": query} for name, query in queries.items()])
    command = ["node", ROOT / "tests/parts/kql.js", MODULES]
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=given, timeout=120)
    assert done.returncode == 0, done.stderr
    return {one["name"]: one for one in json.loads(done.stdout)}


def test_what_is_shipped_is_made_of_the_queries():
    done = subprocess.run([sys.executable, AZURE / "build.py", "--check"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_query_is_kustos_on_the_tables_of_application_insights():
    faulty = {"no column": "requests | where nothere == 1", "no end": "requests | summarize count() by"}
    told = analysed(EVERY | faulty)
    assert all(told.pop(name)["problems"] for name in faulty), "a faulty query is told"
    assert {name: one["problems"] for name, one in told.items() if one["problems"]} == {}
    assert not re.search(r"\{\w+", "".join(of_workbook().values())), "a parameter was not filled in"
    for name, (says, _) in build.queries().items():
        assert says.endswith("."), f"{name} does not say what it answers"
    numbers = {"long", "int", "real"}
    for rule in ALERTS["rules"]:
        columns = told[f"alert {rule['name']}"]["columns"]
        assert columns[rule["measure"]] in numbers, rule["name"]
        assert [columns[one["name"]] for one in rule["dimensions"]] == ["string"] * len(rule["dimensions"])


def names_in_source():
    """Metrics with the keys of their points, events, and keys, as src/export/names.rs has them."""
    source = (ROOT / "src/export/names.rs").read_text()
    return set(re.findall(r'"([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)"', source))


def test_every_name_in_the_queries_is_one_that_taffrail_has():
    known = names_in_source()
    assert {"taffrail.drift.detected", "model.version", "http.route"} <= known
    named = set()
    for query in EVERY.values():
        named |= set(re.findall(r"customDimensions\['([^']+)'\]", query))
        named |= {name for name in re.findall(r"'(taffrail\.[\w.]+)'", query) if not name.endswith(".")}
    assert len(named) > 30
    assert named <= known, named - known


@pytest.mark.parametrize(
    "given", [GIVEN, CHANGED, {"applicationInsightsId": COMPONENT}], ids=["given", "changed", "least"]
)
def test_bicep_and_template_come_to_what_azure_takes(given):
    made = [
        kind(AZURE / f"taffrail.{ending}", given).resources for kind, ending in ((Bicep, "bicep"), (Template, "json"))
    ]
    for resources in made:
        for resource in resources:
            if "serializedData" in resource["properties"]:
                resource["properties"]["serializedData"] = json.loads(resource["properties"]["serializedData"])
    assert made[0] == made[1]
    book, *rules = made[0]
    assert book["properties"]["serializedData"] == WORKBOOK
    book["properties"]["serializedData"] = json.dumps(WORKBOOK)
    assert (book["type"], book["apiVersion"]) == ("Microsoft.Insights/workbooks", "2023-06-01")
    check_model(Workbook, book)
    assert [rule["name"].split("-")[-1] for rule in rules] == [rule["name"] for rule in ALERTS["rules"]]
    for rule in rules:
        # The models are of this version of the API.
        assert (rule["type"], rule["apiVersion"]) == ("Microsoft.Insights/scheduledQueryRules", "2023-12-01")
        check_model(monitor.ScheduledQueryRuleResource, rule)
        (condition,) = rule["properties"]["criteria"]["allOf"]
        assert condition["operator"] in set(monitor.ConditionOperator)
        assert condition["timeAggregation"] in set(monitor.TimeAggregation)
        assert (
            condition["failingPeriods"]["minFailingPeriodsToAlert"]
            <= condition["failingPeriods"]["numberOfEvaluationPeriods"]
        )
        assert rule["properties"]["actions"]["actionGroups"] == ([GROUP] if "actionGroupId" in given else [])
    if given == CHANGED:
        by_name = {rule["name"]: rule["properties"] for rule in rules}
        assert by_name["ml-latency"]["criteria"]["allOf"][0]["threshold"] == 7
        assert (by_name["ml-silence"]["enabled"], by_name["ml-latency"]["enabled"]) == (False, True)


def check_model(model, written):
    """Azure's own model reads all of it: what it does not know, or takes for another type, is lost or changed."""
    given = {key: value for key, value in written.items() if key not in ("type", "apiVersion", "name")}
    assert model.deserialize(given).serialize() == given
    misspelt = {**given, "properties": {**given["properties"], "displayname": "x"}}
    assert model.deserialize(misspelt).serialize() != misspelt


GOOD, REFUSED, BROKEN = 40, 8, 3
WINDOW = 6


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """All that one sidecar sends of a bad quarter of an hour: failures, drift, labels."""
    directory = tmp_path_factory.mktemp("azure")
    train = write_csv(directory / "train.csv", gaussian_rows(1000, 0.0, random.Random(1)))
    command = [BINARY, "baseline", "build", "--from", train, "--out", directory / "baseline.json"]
    subprocess.run(command, check=True, timeout=60)
    endpoint, model = Ingestion(tmp_path_factory.mktemp("track")).start(), FailingUpstream()
    flags = ["--export-application-insights-interval", "1s", "--windows", f"{WINDOW}s", "--archive", "off"]
    flags += ["--baseline", directory / "baseline.json", "--model-name", "weather", "--model-version", "3"]
    through = Sidecar(directory, model.url, *flags, env=connection(endpoint.port))
    try:
        exchanges(through, endpoint)
        through.drain()
    finally:
        through.discard()
        model.close()
        endpoint.stop()
    return endpoint.items


def exchanges(through, endpoint):
    numbers = random.Random(2)
    # All in one window: of another with a few of them the last word would be that they are too few.
    time.sleep(WINDOW - time.time() % WINDOW)

    def ask(number, **headers):
        body = infer_body(**gaussian_rows(20, 3.0, numbers))
        headers = {"Content-Type": "application/json", "x-request-id": f"order-{number}", **headers}
        return exchange(through.address, "POST", INFER, body, headers).status

    assert {ask(1000 + number) for number in range(GOOD)} == {200}
    assert {ask(number, **{"x-fail": "status"}) for number in range(REFUSED)} == {503}
    assert {ask(100 + number, **{"x-fail": "break"}) for number in range(BROKEN)} == {502}
    wait_until(lambda: through.total("taffrail_labels_predictions_total") >= GOOD * 20, "predictions wait for labels")
    labels = "".join(f"order-{1000 + number}#0,{'true' if number % 4 else 'false'}\n" for number in range(GOOD))
    admin = through.admin.removeprefix("http://")
    posted = exchange(admin, "POST", "/api/v1/labels", f"id,label\n{labels}", {"Content-Type": "text/csv"})
    assert posted.status == 200, posted.body

    def told():
        metrics = {one["data"]["baseData"]["metrics"][0]["name"] for one in of(endpoint, "MetricData")}
        events = {one["data"]["baseData"]["name"] for one in of(endpoint, "EventData")}
        wanted = {"taffrail.performance.accuracy", "taffrail.drift.detected", "taffrail.quality.null_ratio"}
        return wanted <= metrics and "taffrail.drift.changed" in events

    wait_until(told, "drift and performance are told", 60)


def of(endpoint, kind):
    return [item for item in list(endpoint.items) if item["data"]["baseType"] == kind]


@pytest.fixture(scope="module")
def resource(sent):
    return Resource(sent)


TOTAL = GOOD + REFUSED + BROKEN
FAILED_PERCENT = 100 * (REFUSED + BROKEN) / TOTAL
# Where nothing was lost there is nothing to tell.
MAY_BE_EMPTY = {"losses", "performance-errors", "alert-export"}


def test_every_query_finds_what_was_sent(resource):
    for name, query in EVERY.items():
        rows = resource.ask(query)
        assert rows or any(name.endswith(one) for one in MAY_BE_EMPTY) or name == "alert export", name
        empty = Resource([]).ask(query)
        assert not empty or name in ("alert-silence", "alert silence"), name


def test_the_queries_say_what_happened(resource):
    ask = {name: resource.ask(query) for name, query in QUERIES.items()}
    (version,) = ask["versions"]
    assert (version["model"], version["version"], version["asked"], version["instances"]) == ("weather", "3", TOTAL, 1)
    assert version["failed_percent"] == pytest.approx(FAILED_PERCENT, abs=0.01)
    assert sum(row["asked"] for row in ask["traffic"]) == TOTAL
    causes = {row["error_type"]: row["failed"] for row in ask["failures-by-error"]}
    assert causes == {"503": REFUSED, "upstream_reset": BROKEN}
    assert sum(row["calls"] for row in ask["calls-to-the-model"]) == TOTAL
    (route,) = ask["latency-by-route"]
    assert (route["route"], route["asked"]) == (INFER.replace("stub", "{model}"), TOTAL)
    assert {row["quantile"] for row in ask["latency-of-the-slowest-instance"]} == {
        "0.5",
        "0.9",
        "0.95",
        "0.99",
        "0.999",
    }
    assert {"total", "upstream", "overhead"} <= {row["phase"] for row in ask["latency-by-phase"]}
    features = {row["feature"]: row for row in ask["drift-now"] if row["role"] == "input"}
    assert (features["a"]["drifts"], features["b"]["drifts"]) == (1, 0)
    assert features["a"]["jensen_shannon"] > features["b"]["jensen_shannon"] > 0
    assert features["a"]["psi"] > 0.25 and features["a"]["p_value"] < 0.01
    changed = ask["drift-changes"][-1]
    assert (changed["after"], changed["coverage"], changed["model"]) == ("drifting", 1.0, "weather")
    assert "a" in changed["features"]
    assert {row["feature"]: row["nulls"] for row in ask["quality"] if row["role"] == "input"} == {"a": 0.0, "b": 0.0}
    accuracy = [row["measure"] for row in ask["performance"] if row["what"] == "accuracy of 3"]
    assert accuracy and accuracy[-1] > 0
    assert {row["what"] for row in ask["coverage"]} >= {"taffrail.capture.coverage", "taffrail.labels.coverage"}
    one = resource.ask(QUERIES["one-request"].replace("order-1017", "order-101"))
    assert {row["itemType"] for row in one} == {"request", "dependency", "exception"}


def fires(rule, rows):
    """As Azure judges one window: dimensions apart, the measure aggregated, compared with the threshold."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[one["name"]] for one in rule["dimensions"]), []).append(row[rule["measure"]])
    aggregate = {"Maximum": max, "Minimum": min, "Total": sum}[rule["aggregation"]]
    threshold = ALERTS["thresholds"][rule["name"]]
    values = [aggregate(values) for values in groups.values()]
    return any(value > threshold if rule["operator"] == "GreaterThan" else value < threshold for value in values)


def test_the_rules_fire_at_what_happened_and_at_nothing_else(resource, sent):
    def firing(tables):
        return {rule["name"] for rule in ALERTS["rules"] if fires(rule, tables.ask(rule["query"]))}

    # Three standard deviations off is also out of the range the baseline saw.
    assert firing(resource) == {"failures", "drift", "quality"}
    assert firing(Resource([])) == {"silence"}
    assert firing(Resource(twisted(sent))) == {"failures", "drift", "quality", "latency", "coverage", "export"}


def twisted(sent):
    """As if the model took two seconds longer, analysis had seen little, and telemetry had been lost."""
    items = json.loads(json.dumps(sent))
    for item in items:
        data = item["data"]["baseData"]
        if item["data"]["baseType"] == "RequestData":
            data["duration"] = "0.00:00:02.000"
        if item["data"]["baseType"] == "MetricData":
            (point,) = data["metrics"]
            if point["name"] == "taffrail.capture.coverage":
                point["value"] = 0.05
            if point["name"] == "taffrail.export.sent":
                point["name"] = "taffrail.export.dropped"
    return items


def test_tables_are_those_of_the_analysis():
    """Both readers of the queries know the same tables."""
    source = (ROOT / "tests/parts/kql.js").read_text()
    assert all(re.search(rf"\b{table}: \{{", source) for table in TABLES)
