"""Prometheus scrapes the sidecars, answers PromQL, and computes the drift of a fleet; promtool finds no fault."""

import json
import random
import subprocess
import urllib.parse

import pytest
from conftest import BINARY, ask, free_port, gaussian_rows, get_json, infer_body, wait_until, write_csv

ROWS = 'taffrail_feature_rows_total{role="input"}'
BASELINE = 'clamp_min(max by (feature,bin) (taffrail_baseline_share{role="input"}), 1e-4)'


def psi_rules(name, rows):
    """Rules `NAME:share` and `NAME:psi` of rows by feature and bin."""
    share = f"sum by (feature,bin) ({rows}) / on(feature) group_left sum by (feature) ({rows})"
    live = f"clamp_min({name}:share, 1e-4)"
    difference = f"({live} - on(feature,bin) {BASELINE})"
    psi = f"sum by (feature) ({difference} * on(feature,bin) ln({live} / on(feature,bin) {BASELINE}))"
    rules = [{"record": f"{name}:share", "expr": share}, {"record": f"{name}:psi", "expr": psi}]
    return {"name": name, "interval": "1s", "rules": rules}


# `increase` extrapolates each pod to the ends of the window, so it is near; the sums since start are exact.
NEAR, EXACT = psi_rules("fleet", f"increase({ROWS}[10m])"), psi_rules("since_start", ROWS)


class Prometheus:
    def __init__(self, processes, directory, sidecars):
        (directory / "rules.yml").write_text(json.dumps({"groups": [NEAR, EXACT]}))
        targets = [f"127.0.0.1:{one.admin_port}" for one in sidecars]
        config = directory / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            "rule_files: [rules.yml]\n"
            f"scrape_configs: [{{job_name: taffrail, static_configs: [{{targets: {targets}}}]}}]\n"
        )
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'tsdb'}"]
        processes("prometheus", [*command, f"--web.listen-address={address}"]).wait_ready(f"{self.url}/-/ready")

    def query(self, promql):
        """(labels, value) of each series."""
        result = get_json(f"{self.url}/api/v1/query?query={urllib.parse.quote(promql)}")
        assert result["status"] == "success", result
        return [(one["metric"], float(one["value"][1])) for one in result["data"]["result"]]

    def values(self, promql):
        return [value for _, value in self.query(promql)]

    def by_feature(self, promql):
        return {labels["feature"]: value for labels, value in self.query(promql)}


def offline_distances(baseline, rows):
    """What `taffrail drift` says of the same rows in a file: distances by method, by feature."""
    command = [BINARY, "drift", "--baseline", baseline, "--from", rows, "--format", "json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 3), done.stderr
    (window,) = json.loads(done.stdout)["windows"]
    return {one["feature"]: one["distances"] for one in window["features"]}


def test_it_scrapes_and_answers_and_a_fleets_psi_is_that_of_all_its_rows(
    processes, baseline, upstream, sidecar, tmp_path
):
    fleet = [sidecar(upstream.url, "--baseline", baseline, "--windows", "1s") for _ in range(2)]
    prometheus = Prometheus(processes, tmp_path, fleet)
    bins = 'sum by (feature) (taffrail_feature_rows_total{role="input"})'
    by_pod = 'sum by (feature, instance) (taffrail_feature_rows_total{role="input"})'
    wait_until(lambda: prometheus.values(by_pod) == [0.0] * 4, "bins are scraped before there are rows", 30)
    assert prometheus.values("up") == [1.0, 1.0]
    shares = prometheus.values('sum by (feature, instance) (taffrail_baseline_share{role="input"})')
    assert shares == pytest.approx([1.0] * 4, abs=1e-6)

    numbers = random.Random(3)
    seen = {"a": [], "b": []}
    for request in range(20):
        rows = gaussian_rows(100, 0.0 if request % 2 else 1.0, numbers)
        assert ask(fleet[request % 2], infer_body(**rows)).status == 200
        for name, values in rows.items():
            seen[name] += values

    kept = 'sum(taffrail_capture_exchanges_total{outcome="kept"})'
    wait_until(lambda: prometheus.values(kept) == [20.0], "Prometheus has scraped all requests", 30)
    wait_until(lambda: prometheus.values(bins) == [2000.0] * 2, "and all rows", 30)
    latency = 'max(taffrail_request_latency_seconds{quantile="0.99",phase="total"})'
    (slowest,) = wait_until(lambda: prometheus.values(latency), "quantiles of latency are there", 30)
    assert 0 < slowest < 60

    distances = offline_distances(baseline, write_csv(tmp_path / "seen.csv", seen))
    expected = {feature: one["psi"] for feature, one in distances.items()}
    assert expected["a"] > 0.1 > expected["b"]

    exact, near = pytest.approx(expected, rel=1e-9), pytest.approx(expected, rel=0.1)
    wait_until(lambda: prometheus.by_feature("since_start:psi") == exact, f"the PSI since start is {exact}", 30)
    wait_until(lambda: prometheus.by_feature("fleet:psi") == near, f"the PSI of ten minutes is {near}", 30)


def test_promtool_finds_nothing_wrong(baseline, upstream, sidecar):
    through = sidecar(upstream.url, "--baseline", baseline, "--windows", "1s")
    body = infer_body(**gaussian_rows(100, 0.0, random.Random(4)))
    for _ in range(10):
        assert ask(through, body).status == 200
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
