"""rotel, a real OTLP agent, and Prometheus take what the sidecar exports."""

import random
import subprocess
import sysconfig

import pytest
from conftest import BINARY, ask, free_port, get_json, infer_body, wait_until

ROTEL = sysconfig.get_paths()["purelib"] + "/rotel/rotel-agent"


@pytest.fixture
def rotel(processes):
    ports = [free_port(), free_port()]
    command = [ROTEL, "start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{ports[0]}", "--otlp-http-endpoint", f"127.0.0.1:{ports[1]}"]
    for signal in ("traces", "metrics", "logs"):
        command += ["--debug-log", signal]
    process = processes("rotel", command)
    wait_until(lambda: "Starting Rotel" in process.output(), "rotel is up", 20)
    return process, f"http://127.0.0.1:{ports[1]}"


@pytest.fixture
def baseline(tmp_path):
    """Two features of a thousand rows: `a` around 0, `b` around 5."""
    numbers = random.Random(1)
    rows = [f"{numbers.gauss(0, 1)},{numbers.gauss(5, 2)}" for _ in range(1000)]
    (tmp_path / "train.csv").write_text("\n".join(["a,b", *rows, ""]))
    out = tmp_path / "baseline.json"
    command = [BINARY, "baseline", "build", "--from", tmp_path / "train.csv", "--out", out]
    subprocess.run(command, check=True, timeout=60)
    return out


def send(through, shift, numbers):
    columns = {"a": [numbers.gauss(shift, 1) for _ in range(100)], "b": [numbers.gauss(5, 2) for _ in range(100)]}
    assert ask(through, infer_body(**columns)).status == 200


def test_rotel_gets_metrics_spans_and_verdict_events(rotel, baseline, upstream, sidecar):
    agent, endpoint = rotel
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    env |= {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=parts", "OTEL_SERVICE_NAME": "parts-sidecar"}
    through = sidecar(upstream.url, "--baseline", baseline, "--windows", "1s", env=env)
    numbers = random.Random(2)

    def drifted():
        send(through, 3.0, numbers)
        return "taffrail.drift.changed" in agent.output()

    wait_until(drifted, "a verdict event", 60)
    through.drain()

    said = agent.output()
    for expected in (
        "taffrail.request.latency",
        "taffrail.capture.coverage",
        "taffrail.drift.distance",
        "http.server.request.duration",
        "SPAN_KIND_SERVER",
        "SPAN_KIND_CLIENT",
        "parts-sidecar",
        "deployment.environment.name",
    ):
        assert expected in said, f"{expected} did not reach the agent"


def test_prometheus_scrapes_and_answers(processes, baseline, upstream, sidecar, tmp_path):
    through = sidecar(upstream.url, "--baseline", baseline, "--windows", "1s")
    numbers = random.Random(3)
    for _ in range(10):
        send(through, 0.0, numbers)

    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "- job_name: taffrail\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{through.admin_port}']}}]\n"
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    processes("prometheus", [*command, f"--web.listen-address=127.0.0.1:{port}"]).wait_ready(f"{url}/-/ready")

    def query(promql):
        result = get_json(f"{url}/api/v1/query?query={promql}")
        assert result["status"] == "success", result
        return [float(one["value"][1]) for one in result["data"]["result"]]

    kept = 'sum(taffrail_capture_exchanges_total{outcome="kept"})'
    assert wait_until(lambda: query(kept), "Prometheus has scraped", 30) == [10.0]
    assert query("up") == [1.0]
    assert query('max(taffrail_request_latency_seconds{quantile="0.99",phase="total"})')[0] > 0
    share = 'sum(taffrail_baseline_share{feature="a",role="input"})'
    assert query(share)[0] == pytest.approx(1.0, abs=1e-6)


def test_promtool_finds_nothing_wrong(baseline, upstream, sidecar):
    through = sidecar(upstream.url, "--baseline", baseline, "--windows", "1s")
    numbers = random.Random(4)
    for _ in range(10):
        send(through, 0.0, numbers)
    wait_until(lambda: through.total("taffrail_capture_exchanges_total", outcome="kept") == 10, "all were captured")
    wait_until(lambda: "taffrail_drift_distance" in through.metrics(), "a window was closed", 30)
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        check=False,
        input=through.metrics(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
