"""A real sidecar against an ingestion endpoint of a few lines: what it sends is what Azure's own exporter
would take for its own, joins into an Application Map, and survives an outage and a kill in it."""

import random
import signal
import subprocess
from collections import Counter

import pytest
from conftest import (
    BINARY,
    INFER,
    FailingUpstream,
    exchange,
    gaussian_rows,
    get_json,
    infer_body,
    wait_until,
)
from ingestion import KEY, Ingestion, connection
from test_full_disk import FileSizeLimit

ID = "7" * 32
CALLER = "1" * 16
# Neither may leave: the one stands in a body, the other in a query and a path.
SECRET_VALUE, SECRET_WORD = 4242.0625, "patient-zero"


@pytest.fixture
def ingestion(tmp_path):
    directory = tmp_path / "track"
    directory.mkdir()
    endpoint = Ingestion(directory)
    yield endpoint
    endpoint.stop()


@pytest.fixture
def model():
    server = FailingUpstream()
    yield server
    server.close()


def ask(through, number, body=None, path=INFER, **headers):
    trace = f"00-{ID}-{CALLER}-01"
    headers = {"Content-Type": "application/json", "x-request-id": f"r{number}", "traceparent": trace, **headers}
    return exchange(through.address, "POST", path, body or infer_body(a=[0.5]), headers).status


def span(item):
    return item["data"]["baseData"]["id"]


def parent(item):
    return item["tags"].get("ai.operation.parentId")


def test_what_is_sent_is_valid_and_draws_a_map(ingestion, baseline, model, sidecar):
    ingestion.start()
    env = connection(ingestion.port) | {"OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    through = sidecar(
        model.url, "--baseline", baseline, "--windows", "1s", "--model-name", "weather", "--model-version", "3", env=env
    )
    numbers, asked = random.Random(3), Counter()

    def drifted():
        rows = gaussian_rows(100, 3.0, numbers)
        rows["a"][0] = SECRET_VALUE
        status = ask(through, asked.total(), infer_body(**rows), f"{INFER}?id={SECRET_WORD}")
        asked[status] += 1
        assert status == 200
        return any("Drift in the" in item["data"]["baseData"]["message"] for item in ingestion.of("MessageData"))

    wait_until(drifted, "a verdict reaches the endpoint", 60)
    for _ in range(3):
        asked[ask(through, asked.total(), **{"x-fail": "status"})] += 1
    asked[ask(through, asked.total(), path=f"/unknown/{SECRET_WORD}")] += 1
    assert asked[503] == 3
    asked[ask(through, asked.total(), **{"x-fail": "break"})] += 1
    assert asked[502] == 1
    kept = asked.total() - through.total("taffrail_capture_exchanges_total", outcome="sampled_out")
    shown = {one["name"]: one for one in get_json(f"{through.admin}/api/v1/status")["exporters"]}
    assert "application_insights traces" in shown
    through.drain()

    ingestion.validate()
    requests, calls = ingestion.of("RequestData"), ingestion.of("RemoteDependencyData")
    stand_for = sum(100 / item.get("sampleRate", 100) for item in requests)
    assert (len(requests), len(calls)) == (kept, kept)
    assert len({span(item) for item in requests}) == kept
    assert kept <= stand_for, "each stands for at least itself"

    by_id = {span(item): item for item in requests}
    assert {parent(item) for item in requests} == {CALLER}
    for call in calls:
        assert parent(call) in by_id, "caller, sidecar and model are one chain"
        assert call["tags"]["ai.operation.id"] == ID == by_id[parent(call)]["tags"]["ai.operation.id"]
        assert call["data"]["baseData"]["target"] == model.address
    seen = {header.split("-")[2] for header in model.parents}
    assert {span(call) for call in calls} == seen, "and the model's own request joins it"

    failures = ingestion.of("ExceptionData")
    kinds = Counter(item["data"]["baseData"]["exceptions"][0]["typeName"] for item in failures)
    assert kinds == {"503": 3, "upstream_reset": 1}
    assert all(parent(item) in by_id for item in failures)
    assert {item["data"]["baseData"]["name"] for item in ingestion.of("EventData")} >= {"taffrail.drift.changed"}

    tags = [item["tags"] for item in ingestion.items]
    assert {tag["ai.cloud.role"] for tag in tags} == {"weather-sidecar"}
    assert {tag["ai.cloud.roleInstance"] for tag in tags} == {"weather-0"}
    assert {tag["ai.application.ver"] for tag in tags} == {"3"}
    check_metrics(ingestion, kept)

    everything = b"".join(file.read_bytes() for file in ingestion.files).decode()
    assert str(SECRET_VALUE) not in everything
    assert SECRET_WORD not in everything


def check_metrics(ingestion, kept):
    points = [
        (item["data"]["baseData"]["metrics"][0], item["data"]["baseData"]["properties"])
        for item in ingestion.of("MetricData")
    ]
    names = {point["name"] for point, _ in points}
    assert names >= {
        "taffrail.request.latency",
        "taffrail.drift.distance",
        "taffrail.drift.verdict",
        "taffrail.quality.null_ratio",
        "taffrail.capture.coverage",
        "taffrail.capture.exchanges",
        "taffrail.export.sent",
        "http.server.request.duration",
    }
    assert not names & {"taffrail.feature.rows", "taffrail.baseline.share"}, "nothing by bin"
    assert all(properties["model.name"] == "weather" for _, properties in points)
    captured = [
        point["value"]
        for point, properties in points
        if point["name"] == "taffrail.capture.exchanges" and properties["outcome"] == "kept"
    ]
    assert sum(captured) == kept, "deltas add up to the whole"
    durations = [point for point, _ in points if point["name"] == "http.server.request.duration"]
    assert all(point["min"] <= point["value"] / point["count"] <= point["max"] * 1.01 for point in durations)


def buffered(through):
    return through.total("taffrail_export_buffer_size_bytes", exporter="application_insights")


def settled(through):
    """Whether what waits on disk has stopped to grow."""
    size, same = buffered(through), 0

    def stable():
        nonlocal size, same
        now = buffered(through)
        same = same + 1 if now == size else 0
        size = now
        return size > 0 and same >= 5

    wait_until(stable, "all that was said is on disk", 60, pause=0.5)


def counted(through, metric, **labels):
    return through.total(f"taffrail_export_{metric}", exporter="application_insights", signal="traces", **labels)


def test_an_outage_loses_nothing(ingestion, model, sidecar):
    through = sidecar(model.url, env=connection(ingestion.port))
    for number in range(400):
        assert ask(through, number) == 200
    wait_until(lambda: buffered(through) > 0, "telemetry waits on disk", 60)
    settled(through)
    failed = through.total("taffrail_export_requests_total", exporter="application_insights", outcome="failed")
    assert failed > 0
    for number in range(400, 500):
        assert ask(through, number) == 200
    kept = 500 - through.total("taffrail_capture_exchanges_total", outcome="sampled_out")

    ingestion.start()
    wait_until(lambda: counted(through, "sent_total") == 2 * kept, "all is sent", 90, pause=0.5)
    assert counted(through, "dropped_total") == 0
    wait_until(lambda: buffered(through) == 0, "the disk is empty again", 30)
    through.drain()
    ids = ingestion.request_ids()
    assert len(ids) == len(set(ids)) == kept, "each once"
    ingestion.validate()


def test_a_kill_in_an_outage_loses_only_what_was_not_written(ingestion, model, sidecar, tmp_path):
    data = tmp_path / "data"
    first = sidecar(model.url, data=data, env=connection(ingestion.port))
    for number in range(300):
        assert ask(first, number) == 200
    settled(first)
    kept = 300 - first.total("taffrail_capture_exchanges_total", outcome="sampled_out")
    for number in range(300, 400):
        assert ask(first, number) == 200
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL

    ingestion.start()
    second = sidecar(model.url, data=data, env=connection(ingestion.port))
    wait_until(lambda: counted(second, "sent_total") >= 2 * kept, "what was left is sent", 60)
    second.drain()
    ids = ingestion.request_ids()
    before = {f"r{number}" for number in range(300)}
    assert len(before & set(ids)) == kept, "all that had been written before"
    assert len(ids) == len(set(ids)), "each once"
    print(f"of the 100 requests right before the kill, {100 - len(set(ids) - before)} were lost")


def test_a_full_disk_in_an_outage_costs_nothing_while_memory_lasts(ingestion, model, sidecar, tmp_path):
    disk = FileSizeLimit(tmp_path)
    through = sidecar(model.url, "--archive", "off", data=disk.data, env=connection(ingestion.port))

    def healthy():
        return through.total("taffrail_export_buffer_healthy", exporter="application_insights") == 1

    for number in range(100):
        assert ask(through, number) == 200
    settled(through)
    disk.fill(through)
    # Ids that do not compress, so that no frame is small enough for what is left of the disk.
    for number in range(100, 400):
        assert ask(through, f"{number}-{random.Random(number).randbytes(200).hex()}") == 200
    wait_until(lambda: not healthy(), "the buffer says that it fails", 30)
    assert "telemetry waits in memory" in through.output()
    kept = 400 - through.total("taffrail_capture_exchanges_total", outcome="sampled_out")

    ingestion.start()
    wait_until(lambda: counted(through, "sent_total") == 2 * kept, "all is sent", 90, pause=0.5)
    assert counted(through, "dropped_total") == 0
    disk.empty(through)
    through.drain()
    ids = ingestion.request_ids()
    assert len(ids) == len(set(ids)) == kept, "each once"


def test_a_connection_string_that_is_none_is_refused_and_not_shown(tmp_path):
    env = {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={KEY};IngestionEndpoint=nowhere"}
    done = subprocess.run(
        [BINARY, "run", "--upstream", "http://127.0.0.1:1", "--data-dir", tmp_path],
        check=False, capture_output=True, text=True, timeout=20, env=env,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "export.application_insights.connection_string" in said and "IngestionEndpoint" in said
    assert KEY not in said
