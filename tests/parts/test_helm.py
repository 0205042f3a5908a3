"""The chart, by Helm 3 and Helm 4: what it renders the API takes, what it is told is what Taffrail takes, and
values that would lose requests or fill a disk are refused with the reason."""

import json
import re
import shutil
import subprocess
import tarfile
import tomllib

import kube
import pytest
import yaml
from conftest import BINARY, INFER, ROOT, exchange, free_port, infer_body, status_of

CHART = ROOT / "k8s/helm/taffrail"
LIBRARY = ROOT / "k8s/helm/taffrail-sidecar"
OWN_CHART = ROOT / "tests/fixtures/kubernetes/own-chart"
HELMS = ["1.29", "1.37"]
helms = pytest.mark.parametrize("helm", HELMS, ids=["helm-3", "helm-4"])

MODEL = {"model": {"image": {"repository": "registry.example/income", "tag": "1"}}}
EVERYTHING = {
    "taffrail": {
        "image": {"repository": "registry.example/taffrail", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
        "upstream": {"port": 5001, "scheme": "http"},
        "ports": {"traffic": 9100, "admin": 9101},
        "config": {
            "model": {"version": "7", "protocol": "mlflow"},
            "windows": ["10m", "1h"],
            "upstream": {"response_timeout": "30s", "protocol": "http1"},
            "archive": {"rotate_interval": "10m"},
            "export": {"resource": {"team": "risk"}},
        },
        "restartOnChange": True,
        "drain": {"preStopSeconds": 15, "timeoutSeconds": 60, "modelSeconds": 30},
        "terminationGracePeriodSeconds": 300,
        "data": {"archiveMiB": 2048, "marginMiB": 256},
        "baseline": {"configMap": "income-baseline"},
        "adminToken": {"existingSecret": "taffrail-token"},
        "tls": {"existingSecret": "income-tls", "clientCertificates": True},
        "otlp": {"endpoint": "http://collector.observability:4318", "existingHeadersSecret": "otlp-headers"},
        "applicationInsights": {"existingSecret": "application-insights"},
        "azureWorkloadIdentity": True,
        "serviceName": "income",
        "extraArgs": ["--threads", "1"],
        "extraEnv": [{"name": "TAFFRAIL_DRIFT_MIN_ROWS", "value": "100"}],
        "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
        "resources": {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
    },
    "fullnameOverride": "income",
    "model": {
        "image": {"repository": "registry.example/income", "tag": "1"},
        "command": ["mlflow"],
        "args": ["models", "serve"],
        "env": [{"name": "A", "value": "b"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "extraPorts": [{"name": "other", "containerPort": 8082}],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
        "volumeMounts": [{"name": "weights", "mountPath": "/weights"}],
        "startupProbe": {"httpGet": {"path": "/ping", "port": "model"}},
        "livenessProbe": {"httpGet": {"path": "/ping", "port": "model"}},
        "readinessProbe": {"httpGet": {"path": "/ping", "port": "model"}},
        "securityContext": {"allowPrivilegeEscalation": False},
        "lifecycle": {"postStart": {"exec": {"command": ["true"]}}},
    },
    "initContainers": [{"name": "fetch", "image": "fetch:1"}],
    "extraContainers": [{"name": "other", "image": "other:1"}],
    "volumes": [{"name": "weights", "emptyDir": {"medium": "Memory"}}],
    "podLabels": {"team": "risk"},
    "podAnnotations": {"example.org/owner": "risk"},
    "podSecurityContext": {"runAsNonRoot": True, "supplementalGroups": [1]},
    "imagePullSecrets": [{"name": "registry"}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "priorityClassName": "high",
    "runtimeClassName": "nvidia",
    "serviceAccount": {"annotations": {"azure.workload.identity/client-id": "0"}},
    "service": {"type": "LoadBalancer", "port": 443, "appProtocol": "kubernetes.io/h2c", "annotations": {"a": "b"}},
    "autoscaling": {"enabled": True, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}}},
    "podDisruptionBudget": {"enabled": True, "minAvailable": "50%"},
    "networkPolicy": {"enabled": True, "clients": [{"namespaceSelector": {}}]},
    "monitoring": {
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "podTargetLabels": ["team"]},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True},
    },
    "extraObjects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "{{ .Release.Name }}-more"}}],
}
SHAPES = {
    "least": MODEL,
    "everything": EVERYTHING,
    "no archive": {**MODEL, "taffrail": {"data": {"archiveMiB": 0}}},
    "a claim": {**MODEL, "replicas": 1, "taffrail": {"data": {"existingClaim": "records"}}},
    "no monitoring": {**MODEL, "monitoring": {"annotations": False}},
    "no service": {**MODEL, "service": {"enabled": False}, "serviceAccount": {"create": False}},
    "egress open": {**MODEL, "networkPolicy": {"enabled": True, "egress": {"enabled": False}}},
    "two metrics": {
        **MODEL,
        "autoscaling": {
            "enabled": True,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}},
                }
            ],
        },
        "podDisruptionBudget": {"enabled": True},
    },
    "resource attributes": {
        **MODEL,
        "taffrail": {"extraEnv": [{"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "team=risk"}]},
    },
    "a digest": {"model": {"image": {"repository": "m", "digest": "sha256:" + "1" * 64}, "version": "2026-11"}},
    "ordinary container": {**MODEL, "taffrail": {"nativeSidecar": False}},
    "IPv6": {**MODEL, "taffrail": {"address": "[::]"}},
    "watched only": {
        "deployment": {"enabled": False},
        "selector": {"app": "income"},
        "networkPolicy": {"enabled": True},
        "monitoring": {
            "podMonitor": {"enabled": True},
            "prometheusRule": {"enabled": True},
            "dashboards": {"enabled": True},
        },
    },
}


def run_helm(helm, tmp_path, chart, values, *more, verb="template", version="1.37"):
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    command = [kube.tool("helm", helm), verb, *(["income"] if verb == "template" else []), chart, "-f", file, *more]
    command += ["--kube-version", version]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def render(helm, tmp_path, values, chart=CHART, version="1.37"):
    done = run_helm(helm, tmp_path, chart, values, "-n", "models", version=version)
    assert done.returncode == 0, done.stderr
    return kube.load_documents(done.stdout)


@pytest.mark.parametrize("shape", SHAPES)
@helms
def test_every_shape_is_valid_and_whole(helm, shape, tmp_path):
    documents = render(helm, tmp_path, SHAPES[shape])
    names = [(one["kind"], one["metadata"]["name"]) for one in documents]
    assert len(names) == len(set(names)), "one object stands in the way of another"
    assert all(one["metadata"].get("namespace", "models") == "models" for one in documents)
    others = kube.validate(documents)
    assert {one["kind"] for one in others} <= {"PodMonitor", "PrometheusRule"}
    if helm == HELMS[-1] and others:
        kube.check_with_npm("prometheus-operator", "monitoring.coreos.com/v1", others)
    for _one, spec in kube.pods(documents):
        kube.check_pod(documents, spec, tmp_path, native=shape != "ordinary container")
    assert bool(kube.pods(documents)) == (shape != "watched only")


@pytest.mark.parametrize("version", ["1.27", "1.28", *kube.KUBERNETES])
def test_each_kubernetes_gets_the_sidecar_it_can_run(version, tmp_path):
    documents = render(HELMS[-1], tmp_path, MODEL, version=version)
    minor = int(version.split(".")[1])
    kube.validate(documents, version)
    ((_one, spec),) = kube.pods(documents)
    kube.check_pod(documents, spec, tmp_path, native=minor >= 29)
    hook = spec["containers"][0]["lifecycle"]["preStop"]
    # The kubelet's own sleep came in 1.29, behind a gate that 1.30 opens.
    assert set(hook) == ({"sleep"} if minor >= 30 else {"exec"})


def test_an_ordinary_container_serves_for_as_long_as_the_endpoint_is_known(tmp_path):
    """It is signalled together with the model: its delay covers the withdrawal, and the model outlives that."""
    documents = render(HELMS[-1], tmp_path, {**MODEL, "taffrail": {"nativeSidecar": False}})
    ((_one, spec),) = kube.pods(documents)
    keys = kube.check_pod(documents, spec, tmp_path, native=False)
    delay = kube.seconds(keys["drain.delay"])
    assert delay >= 10 and kube.sleep_of(spec["containers"][0]) > delay


@helms
@pytest.mark.parametrize("chart", [CHART, LIBRARY], ids=["taffrail", "taffrail-sidecar"])
def test_lint_has_nothing_to_say(helm, chart, tmp_path):
    values = MODEL if chart == CHART else {}
    done = run_helm(helm, tmp_path, chart, values, "--strict", verb="lint")
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert said in ([], ["[INFO] Chart.yaml: icon is recommended"]), said


REFUSED = [
    ({}, "model.image.repository"),
    ({"replicass": 1}, "replicass"),
    ({"taffrail": {"upstream": {"prt": 1}}}, "prt"),
    ({"taffrail": {"upstream": {"port": "http"}}}, "port"),
    ({"taffrail": {"image": {"digest": "sha256:short"}}}, "digest"),
    ({"taffrail": {"config": {"windos": "5m"}}}, "windos"),
    ({"taffrail": {"config": {"upstream": {"response_timeout": "5 parsecs"}}}}, "response_timeout"),
    ({"taffrail": {"config": {"listen": "0.0.0.0:1"}}}, "taffrail.ports.traffic"),
    ({"taffrail": {"config": {"upstream": {"url": "http://model:1"}}}}, "taffrail.upstream.port"),
    ({"taffrail": {"config": {"archive": {"max_bytes": "9GiB"}}}}, "taffrail.data.archiveMiB"),
    ({"taffrail": {"config": {"archive": "off"}}}, "taffrail.data.archiveMiB"),
    ({"taffrail": {"data": {"archiveMiB": 0}, "config": {"archive": {"rotate_interval": "1m"}}}}, "leave out either"),
    ({"taffrail": {"config": {"drain": {"timeout": "1s"}}}}, "taffrail.drain"),
    ({"taffrail": {"config": {"baseline": "/b.json"}, "baseline": {"configMap": "b"}}}, "give one"),
    ({"taffrail": {"tls": {"clientCertificates": True}}}, "existingSecret"),
    ({"taffrail": {"terminationGracePeriodSeconds": 49}}, "need 50"),
    ({"taffrail": {"terminationGracePeriodSeconds": 60, "drain": {"timeoutSeconds": 31}}}, "too short"),
    ({"model": {"lifecycle": {"preStop": {"exec": {"command": ["a"]}}}}}, "preStopAction: none"),
    ({"autoscaling": {"enabled": True}}, "model.resources.requests.cpu"),
    ({"podDisruptionBudget": {"enabled": True, "maxUnavailable": None}}, "minAvailable or maxUnavailable"),
    ({"deployment": {"enabled": False}}, "selector"),
]


@pytest.mark.parametrize(("values", "reason"), REFUSED, ids=[reason for _values, reason in REFUSED])
def test_bad_values_are_refused_with_the_reason(values, reason, tmp_path):
    if values:
        values = {**values, "model": {**MODEL["model"], **values.get("model", {})}}
    done = run_helm(HELMS[-1], tmp_path, CHART, values)
    assert done.returncode != 0, done.stdout
    assert reason in done.stderr


@pytest.mark.parametrize(
    ("asked", "version", "reason"),
    [
        ({"nativeSidecar": True}, "1.27", "no native sidecars"),
        ({"drain": {"preStopAction": "sleep"}}, "1.28", "does not know it"),
    ],
)
def test_what_a_cluster_cannot_run_is_refused(asked, version, reason, tmp_path):
    done = run_helm(HELMS[-1], tmp_path, CHART, {**MODEL, "taffrail": asked}, version=version)
    assert done.returncode != 0 and reason in done.stderr


def test_the_grace_period_counts_all_that_happens_in_it(tmp_path):
    drain = {"preStopSeconds": 7, "modelSeconds": 11, "delaySeconds": 3, "timeoutSeconds": 40, "flushSeconds": 5}
    documents = render(HELMS[-1], tmp_path, {**MODEL, "taffrail": {"drain": drain}})
    ((_one, spec),) = kube.pods(documents)
    assert spec["terminationGracePeriodSeconds"] == 7 + 11 + 3 + 40 + 5


@pytest.mark.parametrize(
    ("taffrail", "threads"),
    [
        ({}, "2"),
        ({"config": {"threads": 4}}, "4"),
        ({"resources": {"limits": {"cpu": "1"}}}, None),
    ],
)
def test_threads_are_not_as_many_as_the_nodes_cores(taffrail, threads, tmp_path):
    documents = render(HELMS[-1], tmp_path, {**MODEL, "taffrail": taffrail})
    ((_one, spec),) = kube.pods(documents)
    keys = kube.effective(documents, spec, kube.sidecar_of(spec), tmp_path)
    assert keys.get("threads") == threads


def test_what_the_chart_deploys_serves_drains_and_records(tmp_path, upstream, processes):
    """The rendered container with its own arguments, variables and files, before a model: asked as a client asks,
    looked at as the kubelet looks, and ended as it ends a pod."""
    port = upstream.server.server_port
    ports = {"traffic": free_port(), "admin": free_port()}
    values = {
        "address": "127.0.0.1",
        "upstream": {"port": port},
        "ports": ports,
        "drain": {"timeoutSeconds": 5},
        "adminToken": {"existingSecret": "token"},
        "baseline": {"configMap": "baseline"},
    }
    documents = render(HELMS[-1], tmp_path, {**MODEL, "taffrail": values})
    ((_one, spec),) = kube.pods(documents)
    container = kube.sidecar_of(spec)
    env = kube.moved(documents, spec, container, tmp_path / "files", under="/")
    sidecar = processes("chart", [BINARY, *container["args"]], env=env)
    admin = f"http://127.0.0.1:{ports['admin']}"
    for probe in kube.PROBES:
        asked = container[probe]["httpGet"]
        assert asked["port"] == "taffrail-admin"
        sidecar.wait_ready(admin + asked["path"])

    def ask():
        address = f"127.0.0.1:{ports['traffic']}"
        return exchange(address, "POST", INFER, infer_body(age=[30.0]), {"Content-Type": "application/json"}).status

    assert ask() == 200
    _program, *hook = container["lifecycle"]["preStop"]["exec"]["command"]
    kube.output_of(BINARY, *hook, env=env)
    assert status_of(admin + "/readyz") == 503 and status_of(admin + "/healthz") == 200
    assert ask() == 200, "what still comes is answered while the model sleeps"
    assert sidecar.stop() == 0, sidecar.output()
    assert list((tmp_path / "files/var/lib/taffrail").rglob("*.parquet"))
    assert "WARN" not in sidecar.output() and "ERROR" not in sidecar.output(), sidecar.output()


def test_secrets_are_referred_to_and_never_rendered(tmp_path):
    documents = render(HELMS[-1], tmp_path, EVERYTHING)
    assert [one["metadata"]["name"] for one in kube.by_kind(documents, "Secret")] == ["income-more"]
    ((one, spec),) = kube.pods(documents)
    sidecar = kube.sidecar_of(spec)
    named = {v["name"]: v["valueFrom"]["secretKeyRef"]["name"] for v in sidecar["env"] if "secretKeyRef" in str(v)}
    assert named == {
        "OTEL_EXPORTER_OTLP_HEADERS": "otlp-headers",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "application-insights",
    }
    assert one["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"


def test_traffic_goes_through_the_sidecar_and_the_model_is_out_of_reach(tmp_path):
    documents = render(HELMS[-1], tmp_path, EVERYTHING)
    (service,) = kube.by_kind(documents, "Service")
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["taffrail"]
    (policy,) = kube.by_kind(documents, "NetworkPolicy")
    ports = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert ports == [9100, 9101], "traffic and metrics; not the model's 5001"
    scrapers = policy["spec"]["ingress"][1]["from"]
    assert scrapers == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    out = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert out == {53, 4317, 4318, 443}
    (scaler,) = kube.by_kind(documents, "HorizontalPodAutoscaler")
    assert scaler["spec"]["metrics"][0]["containerResource"]["container"] == "model"
    ((one, _spec),) = kube.pods(documents)
    assert "replicas" not in one["spec"]
    labels = one["spec"]["template"]["metadata"]["labels"]
    for selected in (
        service["spec"]["selector"],
        policy["spec"]["podSelector"]["matchLabels"],
        kube.by_kind(documents, "PodMonitor")[0]["spec"]["selector"]["matchLabels"],
        kube.by_kind(documents, "PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"],
        one["spec"]["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ):
        assert selected and selected.items() <= labels.items()


def test_a_change_of_configuration_rolls_pods_only_if_asked_for(tmp_path):
    def template(restart, rows):
        values = {"restartOnChange": restart, "config": {"drift": {"min_rows": rows}}}
        ((one, _spec),) = kube.pods(render(HELMS[-1], tmp_path, {**MODEL, "taffrail": values}))
        return one["spec"]["template"]

    assert template(False, 50) == template(False, 60)
    assert template(True, 50) != template(True, 60)


@helms
def test_a_chart_of_ones_own_takes_the_sidecar_in(helm, tmp_path):
    chart = tmp_path / "income"
    shutil.copytree(OWN_CHART, chart)
    (chart / "charts").mkdir()
    shutil.copytree(LIBRARY, chart / "charts/taffrail-sidecar")
    marked = {"taffrail": {"azureWorkloadIdentity": True, "restartOnChange": True}}
    for values, version in (({}, "1.37"), (marked, "1.28")):
        documents = render(helm, tmp_path, values, chart=chart, version=version)
        kube.validate(documents, version)
        ((_one, spec),) = kube.pods(documents)
        place = tmp_path / version
        place.mkdir()
        keys = kube.check_pod(documents, spec, place, native=version == "1.37")
        assert keys["upstream.url"] == "http://127.0.0.1:5001" and keys["model.protocol"] == "mlflow"
    done = run_helm(helm, tmp_path, chart, {"taffrail": {"upstream": {"prt": 1}}})
    assert done.returncode != 0 and "prt" in done.stderr, "its values are checked there too"


@helms
def test_the_packed_chart_is_whole(helm, tmp_path):
    kube.output_of(kube.tool("helm", helm), "package", CHART, "-d", tmp_path)
    (packed,) = tmp_path.glob("taffrail-*.tgz")
    with tarfile.open(packed) as archive:
        members = archive.getmembers()
    assert not [one.name for one in members if one.issym() or one.name.endswith(".py")]
    assert render(helm, tmp_path, EVERYTHING, chart=packed) == render(helm, tmp_path, EVERYTHING)


def test_rules_and_dashboards_are_those_beside_the_chart(tmp_path):
    documents = render(HELMS[-1], tmp_path, EVERYTHING)
    (rule,) = kube.by_kind(documents, "PrometheusRule")
    sources = sorted((ROOT / "k8s/prometheus").glob("taffrail-*.yaml"))
    groups = [group for source in sources for group in yaml.safe_load(source.read_text())["groups"]]
    assert sources and rule["spec"]["groups"] == groups
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    kube.output_of("promtool", "check", "rules", file)
    boards = {
        name: content
        for one in kube.by_kind(documents, "ConfigMap")
        if one["metadata"]["labels"].get("grafana_dashboard")
        for name, content in one["data"].items()
    }
    sources = sorted((ROOT / "k8s/grafana").glob("*.json"))
    assert sources and boards.keys() == {source.name for source in sources}
    for source in sources:
        assert json.loads(boards[source.name]) == json.loads(source.read_text())
        assert len(boards[source.name]) < 900_000, "a ConfigMap holds a MiB"


def test_thresholds_and_alerts_are_those_that_are_asked_for(tmp_path):
    whole = "0.3 * group by (namespace, model_name) (taffrail_capture_coverage)"
    asked = {"psi": 0.2, "label_delay_seconds": 86400, "coverage": whole}
    rule = {"enabled": True, "thresholds": asked, "disabledAlerts": ["TaffrailDown"]}
    documents = render(HELMS[-1], tmp_path, {**MODEL, "monitoring": {"prometheusRule": rule}})
    (made,) = kube.by_kind(documents, "PrometheusRule")
    rules = [one for group in made["spec"]["groups"] for one in group["rules"]]
    limits = {one["record"].split(":")[-1]: one["expr"] for one in rules if ":threshold:" in one.get("record", "")}
    assert limits["psi"].startswith("0.2 * group by") and limits["coverage"] == whole
    assert limits["label_delay_seconds"].startswith("86400 * group by")
    alerts = {one["alert"] for one in rules if "alert" in one}
    assert alerts and "TaffrailDown" not in alerts
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(made["spec"]))
    kube.output_of("promtool", "check", "rules", file)
    for wrong in ({"thresholds": {"psy": 1}}, {"disabledAlerts": ["TaffrailUp"]}):
        values = {**MODEL, "monitoring": {"prometheusRule": {"enabled": True, **wrong}}}
        done = run_helm(HELMS[-1], tmp_path, CHART, values)
        assert done.returncode != 0 and "is none of: " in done.stderr


def test_the_schema_of_the_configuration_is_taffrails_own():
    """`taffrail check --schema` prints it. Where this fails after a key has changed: `k8s/helm/refresh`."""
    schema = json.loads((LIBRARY / "values.schema.json").read_text())["properties"]["config"]
    own = json.loads(kube.output_of(BINARY, "check", "--schema"))
    assert schema["properties"] == own["properties"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("chart", [CHART, LIBRARY], ids=["taffrail", "taffrail-sidecar"])
def test_every_value_is_described_and_every_described_value_is_there(chart):
    schema = json.loads((chart / "values.schema.json").read_text())
    values = yaml.safe_load((chart / "values.yaml").read_text())

    def compare(properties, given, path):
        for name, one in properties.items():
            assert one.get("description"), f"{path}{name} has no description"
            if "properties" in one and name != "config":
                assert one["additionalProperties"] is False, f"{path}{name} takes anything"
                compare(one["properties"], given.get(name, {}), f"{path}{name}.")
        unknown = set(given or {}) - set(properties)
        assert not unknown, f"{path}: {unknown} are in no schema"

    compare(schema["properties"], values, "")
    missing = set(schema["properties"]) - set(values) - {"global"}
    assert not missing, f"{missing} stand not in values.yaml"


def test_versions_agree():
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    for chart in (CHART, LIBRARY):
        about = yaml.safe_load((chart / "Chart.yaml").read_text())
        assert about["appVersion"] == version
        for dependency in about.get("dependencies", []):
            assert dependency["version"] == yaml.safe_load((LIBRARY / "Chart.yaml").read_text())["version"]
    assert f'"taffrail.version" -}}}}{version}{{{{' in (LIBRARY / "templates/_names.tpl").read_text()
    assert f"ARG VERSION={version}\n" in (ROOT / "k8s/Dockerfile").read_text()
    for manifest in ROOT.glob("k8s/**/*.yaml"):
        for tag in re.findall(r"image: (?:\S+/)?taffrail:(\S+)", manifest.read_text()):
            assert tag == version, manifest


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ({"tag": "1.2"}, "1.2"),
        ({"tag": "1.2+rc.1"}, "1.2_rc.1"),
        ({"tag": "latest"}, None),
        ({"tag": "1.2", "digest": "sha256:" + "1" * 64}, None),
        ({"tag": "x" * 70}, "x" * 63),
    ],
)
def test_the_tag_of_the_model_is_its_version(model, version, tmp_path):
    """Taffrail reads it from the pod's label."""
    values = {"model": {"image": {"repository": "m", **model}}}
    ((one, _spec),) = kube.pods(render(HELMS[-1], tmp_path, values))
    assert one["spec"]["template"]["metadata"]["labels"].get("app.kubernetes.io/version") == version
