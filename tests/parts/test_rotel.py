"""rotel, a real OTLP agent, takes what the sidecar exports; while it is away, traffic does not notice."""

import random

import pytest
from conftest import Load, ask, gaussian_rows, infer_body, wait_until

MIB = 1 << 20


@pytest.mark.parametrize(
    ("protocol", "compression"), [("http/protobuf", "none"), ("http/protobuf", "gzip"), ("grpc", "none"), ("grpc", "gzip")]
)
def test_it_gets_metrics_spans_and_verdict_events(protocol, compression, agent, baseline, upstream, sidecar):
    agent.start()
    endpoint = f"http://127.0.0.1:{agent.grpc}" if protocol == "grpc" else agent.endpoint
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    env |= {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_COMPRESSION": compression}
    env |= {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=parts", "OTEL_SERVICE_NAME": "parts-sidecar"}
    through = sidecar(upstream.url, "--baseline", baseline, "--windows", "1s", env=env)
    numbers = random.Random(2)

    def drifted():
        assert ask(through, infer_body(**gaussian_rows(100, 3.0, numbers))).status == 200
        return "taffrail.drift.changed" in agent.output()

    wait_until(drifted, "a verdict event", 60)
    through.drain()

    for expected in (
        "taffrail.request.latency",
        "taffrail.capture.coverage",
        "taffrail.drift.distance",
        "http.server.request.duration",
        "SPAN_KIND_SERVER",
        "SPAN_KIND_CLIENT",
        "taffrail.window.examples",
        "parts-sidecar",
        "deployment.environment.name",
    ):
        wait_until(lambda text=expected: text in agent.output(), f"{expected} reaches the agent", 20)


def test_while_it_is_away_traffic_flows_memory_is_flat_and_losses_are_counted(agent, upstream, sidecar):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": agent.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    through = sidecar(upstream.url, "--archive", "off", env=env)

    def spans(metric, **labels):
        return through.total(f"taffrail_export_{metric}", exporter="otlp", signal="traces", **labels)

    def dropped():
        return spans("dropped_total", reason="queue_full")

    with Load(through.address, infer_body(a=[0.5, 1.5])) as load:
        wait_until(lambda: dropped() > 0, "the queue of spans is full", 60, pause=0.5)
        held, answered, lost = through.resident_bytes(), load.answered(), dropped()
        wait_until(lambda: dropped() > lost + 4000, "more are dropped", 60, pause=0.5)
        assert load.answered() >= answered + 1000
        assert through.resident_bytes() < held + 16 * MIB, "what cannot be sent does not pile up"
        assert spans("requests_total", outcome="failed") > 0
        assert spans("sent_total") == 0

        agent.start()
        wait_until(lambda: spans("sent_total") > 0, "spans are sent again", 60, pause=0.5)
        wait_until(lambda: "taffrail.request.latency" in agent.output(), "metrics are sent again", 60, pause=0.5)
    assert (load.broken, set(load.statuses)) == ([], {200})
    through.drain()
    wait_until(lambda: "SPAN_KIND_SERVER" in agent.output(), "spans reach the agent", 20)
