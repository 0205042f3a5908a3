"""The components, by the kustomize of the oldest Kubernetes they are for and by a current one."""

import importlib.machinery
import importlib.util
import shutil

import kube
import pytest
import yaml
from conftest import ROOT

KUSTOMIZE = ROOT / "k8s/kustomize"
KUBECTLS = ["1.29", "1.37"]
kubectls = pytest.mark.parametrize("kubectl", KUBECTLS)


def build(folder, kubectl):
    return kube.load_documents(kube.output_of(kube.tool("kubectl", kubectl), "kustomize", folder))


@pytest.fixture
def overlay(tmp_path):
    """A tree as a user has it: the components, a base of theirs, and a kustomization to be written."""
    shutil.copytree(KUSTOMIZE, tmp_path / "kustomize")
    place = tmp_path / "kustomize/mine"
    place.mkdir()

    def write(base=None, **kustomization):
        (place / "base.yaml").write_text(yaml.safe_dump_all(base or EXAMPLE))
        head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["base.yaml"]}
        (place / "kustomization.yaml").write_text(yaml.safe_dump({**head, **kustomization}))
        return place

    return write


EXAMPLE = [
    one
    for name in ("deployment.yaml", "service.yaml")
    for one in kube.load_documents((KUSTOMIZE / "example/base" / name).read_text())
]


@kubectls
def test_the_example_is_valid_and_whole(kubectl, tmp_path):
    documents = build(KUSTOMIZE / "example/with-taffrail", kubectl)
    # 1.29 knows the preStop sleep behind a gate only.
    for version in kube.KUBERNETES:
        assert not kube.validate(documents, version)
    ((_one, spec),) = kube.pods(documents)
    kube.check_pod(documents, spec, tmp_path)
    assert kube.sidecar_of(spec)["image"].startswith("registry.example/taffrail:")


def test_both_kustomizes_agree():
    old, new = (build(KUSTOMIZE / "example/with-taffrail", one) for one in KUBECTLS)
    assert old == new


@kubectls
def test_only_what_is_annotated_is_changed(kubectl, overlay):
    bystander = yaml.safe_load(yaml.safe_dump(EXAMPLE[0]))
    bystander["metadata"] = {"name": "bystander"}
    place = overlay([*EXAMPLE, bystander], components=["../sidecar"])
    documents = build(place, kubectl)
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in documents}
    assert by_name["Deployment", "bystander"] == bystander
    assert by_name["Service", "income-model-debug"]["spec"]["ports"][0]["targetPort"] == 8080
    assert by_name["Service", "income-model"]["spec"]["ports"][0]["targetPort"] == "taffrail"


@kubectls
def test_what_a_pod_has_already_stays(kubectl, overlay, tmp_path):
    base = yaml.safe_load(yaml.safe_dump(EXAMPLE))
    base[0]["kind"] = "StatefulSet"
    base[0]["spec"]["serviceName"] = "income-model"
    pod = base[0]["spec"]["template"]["spec"]
    pod["initContainers"] = [{"name": "fetch", "image": "fetch:1"}]
    pod["volumes"] = [{"name": "weights", "emptyDir": {}}]
    pod["securityContext"] = {"runAsNonRoot": True}
    pod["containers"].append({"name": "other", "image": "other:1"})
    documents = build(overlay(base, components=["../sidecar"]), kubectl)
    ((_one, spec),) = kube.pods(documents)
    kube.validate(documents)
    kube.check_pod(documents, spec, tmp_path)
    assert {one["name"] for one in spec["initContainers"]} == {"taffrail", "fetch"}
    assert [one["name"] for one in spec["containers"]] == ["model", "other"]
    assert "lifecycle" not in spec["containers"][1]
    assert {"weights", "taffrail-data"} <= {one["name"] for one in spec["volumes"]}
    assert spec["securityContext"] == {"runAsNonRoot": True, "fsGroup": 65532}


@kubectls
def test_the_configuration_and_the_pod_can_be_changed(kubectl, overlay, tmp_path):
    """What the page tells: patches, which come after the components; one of them is a `taffrail.yaml` whole."""
    own = (KUSTOMIZE / "sidecar/taffrail.yaml").read_text().replace(":8080", ":5001") + "windows: 1m,1h\n"
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "taffrail"}, "data": {"taffrail.yaml": own}}
    changes = [
        {"op": "replace", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 120},
        {"op": "replace", "path": "/spec/template/spec/containers/0/ports/0/containerPort", "value": 5001},
    ]
    patches = [
        {"patch": yaml.safe_dump(config)},
        {"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(changes)},
    ]
    documents = build(overlay(components=["../sidecar"], patches=patches), kubectl)
    ((_one, spec),) = kube.pods(documents)
    keys = kube.check_pod(documents, spec, tmp_path)
    assert keys["upstream.url"].endswith(":5001") and keys["windows"].replace(" ", "") == "1m,1h"
    assert spec["terminationGracePeriodSeconds"] == 120
    # One name for good: with a suffix every change would roll the pods.
    assert [one["metadata"]["name"] for one in kube.by_kind(documents, "ConfigMap")] == ["taffrail"]


@kubectls
def test_azure_is_added_on_top(kubectl, overlay, tmp_path):
    documents = build(overlay(components=["../sidecar", "../azure"]), kubectl)
    kube.validate(documents)
    ((one, spec),) = kube.pods(documents)
    kube.check_pod(documents, spec, tmp_path)
    assert one["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    variables = {variable["name"]: variable for variable in kube.sidecar_of(spec)["env"]}
    reference = variables["APPLICATIONINSIGHTS_CONNECTION_STRING"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "taffrail-application-insights", "key": "connection-string"}
    assert "TAFFRAIL_ADMIN_ADDRESS" in variables, "what was there is still there"


@kubectls
def test_monitoring_and_the_network_policy_find_the_pods(kubectl, overlay):
    place = overlay(
        resources=["base.yaml", "../monitoring", "../network-policy"], components=["../sidecar"], namespace="models"
    )
    documents = build(place, kubectl)
    others = kube.validate(documents)
    kube.check_with_npm("prometheus-operator", "monitoring.coreos.com/v1", others)
    assert {one["kind"] for one in others} == {"PodMonitor", "PrometheusRule"}
    assert {one["metadata"]["namespace"] for one in documents} == {"models"}
    ((one, spec),) = kube.pods(documents)
    labels = one["spec"]["template"]["metadata"]["labels"]
    (monitor,) = kube.by_kind(documents, "PodMonitor")
    (policy,) = kube.by_kind(documents, "NetworkPolicy")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for port in kube.sidecar_of(spec)["ports"]}
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in ports
    let_in = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert let_in == [ports["taffrail"], ports["taffrail-admin"]]


def test_the_alerts_are_those_of_prometheus():
    refresh = module(ROOT / "k8s/helm/refresh")
    assert refresh.RULE.read_text() == refresh.rule(), "run k8s/helm/refresh"
    (rule,) = kube.load_documents(refresh.RULE.read_text())
    sources = sorted((ROOT / "k8s/prometheus").glob("taffrail-*.yaml"))
    groups = [group for source in sources for group in yaml.safe_load(source.read_text())["groups"]]
    assert groups and rule["spec"]["groups"] == groups


def module(path):
    loader = importlib.machinery.SourceFileLoader(path.name, str(path))
    made = importlib.util.module_from_spec(importlib.util.spec_from_loader(path.name, loader))
    loader.exec_module(made)
    return made


def test_dashboards_become_config_maps():
    documents = build(ROOT / "k8s/grafana", KUBECTLS[-1])
    sources = sorted((ROOT / "k8s/grafana").glob("*.json"))
    assert sources and sorted(key for one in documents for key in one["data"]) == [one.name for one in sources]
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in documents)
    kube.validate(documents)
