"""A small fleet as a cluster has it: Prometheus with the shipped rules, Alertmanager that tells a webhook, and four
sidecars with real traffic. Alerts arrive and are taken back, and no panel of a dashboard stays empty."""

import json
import math
import random
import re
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

import pytest
from conftest import (
    BINARY, Agent, QuietServer, Sidecar, Upstream, ask, exchange, free_port, gaussian_rows, get_json, infer_body, wait_until,
    write_csv,
)
from dashboards import DASHBOARDS, filled, questions, variables
from rules import FILES, RULES
from test_prometheus import offline_distances

MODEL = {"namespace": "ml", "model_name": "income"}
# The shipped windows, shortened: 5m is six seconds, an hour three of those, a day two hours.
SHORT = {
    "1m": "1s", "2m": "1s", "5m": "6s", "10m": "1s", "15m": "10s", "30m": "2s", "1h": "18s", "2h": "20s", "6h": "30s",
    "1d": "36s", "3d": "40s", "6d": "40s", "7d": "40s",
}
QUESTION = {"__rate_interval": "10s", "__range": "60s", "datasource": "any"}


def shortened(text):
    """Rules as shipped, but for lengths of time in brackets, after `offset`, and in `for` and `interval`."""
    def short(match):
        return re.sub(r"\d+[mhd]", lambda length: SHORT[length[0]], match[0])

    text = re.sub(r"\[\d[^\]]*\]|\boffset \d+[mhd]", short, text)
    return re.sub(r"(?m)^ *(?:for|interval): \d+[mhd]$", short, text)


class Inbox:
    """The webhook that Alertmanager tells."""

    def __init__(self):
        self.alerts = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                inbox.alerts += told["alerts"]
                self.send_response(200)
                self.end_headers()

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def got(self, status, **labels):
        fitting = [one for one in self.alerts if one["status"] == status and labels.items() <= one["labels"].items()]
        return fitting[-1] if fitting else None


class Refusing:
    """An ingestion of Application Insights that takes nothing."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(400)
                self.end_headers()

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{self.server.server_port}/"
        key = "InstrumentationKey=00000000-0000-0000-0000-000000000001"
        self.env = {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"{key};IngestionEndpoint={url}"}
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Numbers(Upstream):
    """A regression: twice the first input."""

    @staticmethod
    def prediction(body):
        values = [2 * value for value in json.loads(body)["inputs"][0]["data"]]
        output = {"name": "price", "shape": [len(values)], "datatype": "FP64", "data": values}
        return json.dumps({"model_name": "stub", "outputs": [output]}).encode()


class Probabilities(Upstream):
    """A classifier by the first input, and what each input did to the answer."""

    @staticmethod
    def prediction(body):
        try:
            inputs = {one["name"]: one["data"] for one in json.loads(body)["inputs"]}
        except ValueError:
            return Upstream.prediction(body)
        chances = [1 / (1 + math.exp(-4 * (value or 0.0))) for value in inputs["a"]]
        columns = {"income": chances, "shap_a": inputs["a"], "shap_b": [(value or 0.0) / 10 for value in inputs["b"]]}
        outputs = [
            {"name": name, "shape": [len(values)], "datatype": "FP64", "data": values} for name, values in columns.items()
        ]
        return json.dumps({"model_name": "stub", "outputs": outputs}).encode()


class Stack:
    """Four pods, what scrapes them, and whom it tells."""

    def __init__(self, processes, directory, sidecars, baseline):
        self.pods, self.baseline, self.inbox, self.started = sidecars, baseline, Inbox(), time.time()
        self.broken = []
        alertmanager = self.alertmanager(processes, directory)
        for path in FILES:
            (directory / path.name).write_text(shortened(path.read_text()))
        targets = [
            {"targets": [f"127.0.0.1:{one.admin_port}"], "labels": {"namespace": "ml", "pod": pod}}
            for pod, one in sidecars.items()
        ]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [path.name for path in FILES],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": [{"job_name": "taffrail", "static_configs": targets}],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        command = ["prometheus", f"--config.file={directory / 'prometheus.yml'}", f"--web.listen-address={address}"]
        command += [f"--storage.tsdb.path={directory / 'tsdb'}", "--enable-feature=exemplar-storage"]
        processes("prometheus", command).wait_ready(f"{self.url}/-/ready")

    def alertmanager(self, processes, directory):
        receiver = {"name": "hook", "webhook_configs": [{"url": self.inbox.url, "send_resolved": True}]}
        times = {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
        config = {"route": {"receiver": "hook", "group_by": ["..."], **times}, "receivers": [receiver]}
        (directory / "alertmanager.yml").write_text(json.dumps(config))
        address = f"127.0.0.1:{free_port()}"
        command = ["prometheus-alertmanager", f"--config.file={directory / 'alertmanager.yml'}"]
        command += [f"--web.listen-address={address}", "--cluster.listen-address=", f"--storage.path={directory / 'am'}"]
        processes("alertmanager", command).wait_ready(f"http://{address}/-/ready")
        return address

    def api(self, path, **parameters):
        answer = get_json(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}")
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, promql):
        return [float(one["value"][1]) for one in self.api("query", query=promql)["result"]]

    def ever(self, promql):
        """Whether the query had a number at any second since the start."""
        found = self.api("query_range", query=promql, start=self.started, end=time.time(), step="1s")["result"]
        return any(value != "NaN" for one in found for _, value in one["values"])


class Callers:
    """One caller a pod: some twenty requests a second of rows like the baseline's, with ids, labels, and what goes wrong."""

    def __init__(self, pods, broken):
        self.stopping, self.broken = threading.Event(), broken
        self.threads = [threading.Thread(target=self.call, args=one, daemon=True) for one in pods.items()]

    def __enter__(self):
        for one in self.threads:
            one.start()

    def __exit__(self, *_):
        self.stopping.set()
        for one in self.threads:
            one.join()

    def call(self, pod, sidecar):
        try:
            self.ask_on(pod, sidecar)
        except OSError as error:
            self.broken.append((pod, error))

    def ask_on(self, pod, sidecar):
        numbers, count = random.Random(pod), 0
        while not self.stopping.wait(0.05):
            count += 1
            rows = gaussian_rows(20, 0.0, numbers)
            if count % 5 == 0:
                rows["b"][0] = 1e6
            body = json.loads(infer_body(**rows))
            if count % 7 == 0:
                body["inputs"][1]["data"][0] = None
            body = json.dumps(body).encode() if count % 20 else b"{no JSON"
            ask(sidecar, body, f"{pod}-{count}", x_tenant=("acme", "umbra")[count % 2])
            if count % 10 == 0:
                self.label(sidecar, f"{pod}-{count - 1}", [2.5 * value if pod == "price-1" else value > 0.2 for value in rows["a"]])

    @staticmethod
    def label(sidecar, request, values):
        labels = [{"id": f"{request}#{row}", "label": value} for row, value in enumerate(values)]
        headers = {"Content-Type": "application/json"}
        exchange(sidecar.admin.removeprefix("http://"), "POST", "/api/v1/labels", json.dumps(labels), headers)


@pytest.fixture(scope="module")
def stack(processes, tmp_path_factory):
    directory = tmp_path_factory.mktemp("monitoring")
    train = write_csv(directory / "train.csv", gaussian_rows(2000, 0.0, random.Random(1)))
    baseline = directory / "baseline.json"
    subprocess.run([BINARY, "baseline", "build", "--from", train, "--out", baseline], check=True, timeout=60)
    model, numbers, agent = Probabilities(), Numbers(), Agent(processes).start()
    income = ["--model-name", "income", "--model-version", "3", "--windows", "2s,6s"]
    income += ["--drift-references", "previous", "--features-segments", "header:x-tenant"]
    income += ["--features-importance", "a=3,b=1"]
    otlp = ["--export-otlp-endpoint", agent.endpoint, "--export-otlp-interval", "1s"]
    azure = ["--export-application-insights-interval", "1s"]
    nobody = f"http://127.0.0.1:{free_port()}"
    plans = {
        "income-1": (model.url, [*income, *otlp, "--baseline", baseline]),
        "income-2": (model.url, [*income, *otlp, "--baseline", baseline]),
        # Its model is down, and so is the collector that it exports to.
        "income-3": (nobody, [*income, "--baseline", baseline, "--export-otlp-endpoint", nobody, "--export-otlp-interval", "1s"]),
        "price-1": (numbers.url, ["--model-name", "price", "--baseline-learn-rows", "100", "--windows", "2s,6s", *azure]),
    }
    pods = {}
    try:
        for pod, (upstream, arguments) in plans.items():
            (directory / pod).mkdir()
            ready = "/healthz" if upstream == nobody else "/readyz"
            env = Refusing().env if pod == "price-1" else None
            pods[pod] = Sidecar(directory / pod, upstream, *arguments, ready=ready, env=env)
        yield Stack(processes, directory, pods, baseline)
    finally:
        for one in pods.values():
            one.discard()
        model.close()
        numbers.close()


@pytest.fixture(scope="module")
def shifted(stack, tmp_path_factory):
    """Half of the fleet's rows shift. Gives the distances that `taffrail drift` finds in the union."""
    bins = 'count(taffrail_feature_rows_total{role="input",model_name="income"})'
    wait_until(lambda: stack.values(bins), "bins are scraped before there are rows", 30)
    numbers, seen = random.Random(3), {"a": [], "b": []}
    for request in range(100):
        rows = gaussian_rows(20, 0.0 if request % 2 else 1.0, numbers)
        assert ask(stack.pods[f"income-{request % 2 + 1}"], infer_body(**rows)).status == 200
        for name, values in rows.items():
            seen[name] += values
        # Evenly over some ten seconds: of a sudden jump, a window between two scrapes would see nothing.
        time.sleep(0.1)
    return offline_distances(stack.baseline, write_csv(tmp_path_factory.mktemp("seen") / "seen.csv", seen))["a"]


DRIFT = {"alertname": "TaffrailDrift", **MODEL, "model_version": "3", "feature": "a", "role": "input"}
FLEET_DRIFT = {**DRIFT, "alertname": "TaffrailFleetDrift", "window": "1d"}


def test_a_fleets_distance_is_that_of_all_its_rows(stack, shifted):
    """Within what scraping each second leaves of a window of six. Each pod's own PSI is near 1, and near 0."""
    for rule, tolerance in (("psi", 0.15), ("jensen_shannon", 0.08)):
        near = f'abs(taffrail:{rule}:1d{{feature="a",role="input"}} / {shifted[rule]} - 1) < {tolerance}'
        wait_until(lambda near=near: stack.values(near), f"the fleet's {rule} is {shifted[rule]}", 60)


def test_someone_is_told_of_drift_with_its_values(stack, shifted):
    told = wait_until(lambda: stack.inbox.got("firing", **DRIFT), "drift is told", 60)
    assert told["labels"] == {**DRIFT, "severity": "warning"}
    assert told["annotations"]["summary"] == "input a of model income drifts."
    assert re.search(r"(2s|6s) \d\.\d{3};", told["annotations"]["description"])
    assert "dashboard Taffrail / Feature" in told["annotations"]["runbook"]

    fleet = wait_until(lambda: stack.inbox.got("firing", **FLEET_DRIFT), "and of the fleet", 60)
    assert fleet["labels"].keys() == {*FLEET_DRIFT, "severity", "hash"}
    value = float(re.search(r"PSI (\d\.\d{3}) over a day", fleet["annotations"]["summary"])[1])
    assert 0.1 < value < shifted["psi"] * 1.2


@pytest.fixture(scope="module")
def lived_in(stack, shifted):
    """Drift was told; then rows like the baseline's came for as long as a day and its week are here."""
    wait_until(lambda: stack.inbox.got("firing", **FLEET_DRIFT), "the drift is told", 60)
    with Callers(stack.pods, stack.broken):
        wait_until(lambda: stack.inbox.got("resolved", **DRIFT), "the drift is taken back", 90)
        wait_until(lambda: stack.ever("taffrail:performance:usual"), "there is a day before this one", 90)
        yield stack


def test_what_is_over_is_taken_back(lived_in):
    wait_until(lambda: lived_in.inbox.got("resolved", **FLEET_DRIFT), "the fleet's drift is taken back", 90)
    assert lived_in.inbox.got("resolved", **DRIFT)["annotations"]["summary"]


@pytest.mark.parametrize(
    "labels",
    [
        {"alertname": "TaffrailAvailabilityBurn", "severity": "critical", "window": "1h", **MODEL},
        {"alertname": "TaffrailExportFailing", "severity": "warning", "exporter": "otlp", **MODEL},
    ],
    ids=lambda labels: labels["alertname"],
)
def test_each_failure_of_the_third_pod_is_told(lived_in, labels):
    """Its model is away, and its collector."""
    told = wait_until(lambda: lived_in.inbox.got("firing", **labels), f"told: {labels}", 60)
    assert "income" in told["annotations"]["summary"]


def test_no_rule_had_trouble(lived_in):
    groups = lived_in.api("rules")["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert len(loaded) == len(RULES)
    assert {(rule["name"], rule.get("lastError")) for rule in loaded if rule["health"] != "ok"} == set()


def choices(stack, dashboard):
    """What Grafana would fill in, for each model, found as it finds it; a variable without a value is a fault."""
    found = variables(dashboard)
    for model in ("income", "price"):
        values = dict(QUESTION)
        for name, variable in found.items():
            if variable["type"] == "custom":
                values[name] = variable["current"]["value"]
            elif variable["type"] == "query":
                selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
                query = {"match[]": filled(selector, values), "start": stack.started}
                known = stack.api(f"label/{label}/values", **query)
                assert known, (name, query)
                values[name] = ".*" if variable["includeAll"] else known[0]
        values["model_name"] = model
        yield values


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_question_of_a_dashboard_has_an_answer(lived_in, name):
    dashboard = DASHBOARDS[name]
    filled_in = list(choices(lived_in, dashboard))
    windows = ("5m", "1h", "1d") if "fleet_window" in variables(dashboard) else (None,)
    empty = []
    for where, expression in questions(dashboard):
        for window in windows if "fleet_window" in expression else (None,):
            asked = [filled(expression, {**values, "fleet_window": window}) for values in filled_in]
            if not any(map(lived_in.ever, asked)):
                empty.append((where, asked[0]))
    assert empty == []


def test_a_sidecar_that_is_gone_is_told(lived_in):
    """Last, for its caller finds nobody from here on; until here every caller had its answers."""
    assert lived_in.broken == []
    assert lived_in.pods["income-2"].stop() == 0
    labels = {"alertname": "TaffrailDown", "pod": "income-2", "severity": "critical"}
    told = wait_until(lambda: lived_in.inbox.got("firing", **labels), "a pod that is gone is told", 30)
    assert told["annotations"]["summary"] == "Prometheus cannot scrape the sidecar income-2."
