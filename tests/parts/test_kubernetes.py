"""The manifests and recipes are what the Kubernetes API takes, and what they tell Taffrail is what it takes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import kube
import pytest
import yaml
from conftest import BINARY, INFER, PARTS, ROOT, VENVS, exchange, free_port, infer_body, status_of, wait_until

PLAIN = ROOT / "k8s/taffrail-sidecar.yaml"
RECIPES = ROOT / "k8s/recipes"
AZUREML = RECIPES / "azureml"
MANIFESTS = [PLAIN, *sorted(path for path in RECIPES.glob("*/*.yaml") if path.parent != AZUREML)]
NAMES = [str(path.relative_to(ROOT / "k8s")) for path in MANIFESTS]
FOLDERS = sorted(path for path in RECIPES.iterdir() if path.is_dir())
manifests = pytest.mark.parametrize("manifest", MANIFESTS, ids=NAMES)


def load(manifest):
    return kube.load_documents(manifest.read_text())


@manifests
def test_every_kubernetes_with_native_sidecars_takes_the_manifest(manifest):
    documents = load(manifest)
    for version in kube.KUBERNETES:
        for other in kube.validate(documents, version):
            assert other["kind"] in CHECKED_ELSEWHERE, other["kind"]
    # Also what is inside of kinds that the validator does not know.
    kube.validate([kube.as_pod(spec) for _one, spec in kube.pods(documents)])


CHECKED_ELSEWHERE = {"InferenceService", "PeerAuthentication"}


@manifests
def test_the_sidecar_of_the_manifest_is_whole(manifest, tmp_path):
    documents = load(manifest)
    ((_one, spec),) = kube.pods(documents)
    keys = kube.check_pod(documents, spec, tmp_path)
    assert keys["upstream.url"].startswith("http://127.0.0.1:"), "the model is in the same pod"


@manifests
def test_the_service_leads_through_the_sidecar(manifest):
    documents = load(manifest)
    ((one, spec),) = kube.pods(documents)
    sidecar = kube.sidecar_of(spec)
    if one["kind"] == "InferenceService":
        # KServe makes the Service itself, for the first port of its first container.
        listens = int(kube.environment(sidecar)["TAFFRAIL_LISTEN"].rsplit(":", 1)[1])
        assert one["spec"]["predictor"]["model"]["ports"][0]["containerPort"] == listens
        return
    (service,) = kube.by_kind(documents, "Service")
    labels = one["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] == "taffrail"
    assert "taffrail" in {port["name"] for port in sidecar["ports"]}


def test_the_validator_refuses_what_a_cluster_would():
    """What all of the above stands on: unknown fields, wrong types, values that are none."""
    (good, _service) = load(PLAIN)
    kube.validate([good])
    for change in (
        lambda pod: pod.update(unknown=1),
        lambda pod: pod["initContainers"][0].update(restartPolicy=3),
        lambda pod: pod["initContainers"][0].update(imagePullPolicy="Sometimes"),
        lambda pod: pod["initContainers"][0]["ports"][0].update(protocol="tcp"),
    ):
        bad = json.loads(json.dumps(good))
        change(bad["spec"]["template"]["spec"])
        with pytest.raises(AssertionError):
            kube.validate([bad])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda pod: pod.update(terminationGracePeriodSeconds=30), "the drain needs"),
        (lambda pod: pod["volumes"][0]["emptyDir"].update(sizeLimit="1Gi"), "fills the volume"),
        (lambda pod: pod["initContainers"][0]["env"].append({"name": "TAFFRAIL_NO_SUCH", "value": "1"}), "no key"),
        (lambda pod: pod["initContainers"][0]["env"].append({"name": "TAFFRAIL_DRAIN_DELAY", "value": "1x"}), "1x"),
        (lambda pod: pod["initContainers"][0]["env"][0].update(value="http://127.0.0.1:8081"), "no port"),
    ],
)
def test_a_sidecar_that_is_not_whole_is_found(change, complaint, tmp_path):
    documents = load(PLAIN)
    ((_one, spec),) = kube.pods(documents)
    change(spec)
    with pytest.raises(AssertionError, match=complaint):
        kube.check_pod(documents, spec, tmp_path)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_page_of_a_recipe_says_all_that_it_should(folder):
    page = (folder / "README.md").read_text()
    for file in folder.iterdir():
        assert file.name == "README.md" or f"({file.name})" in page, f"{file.name} is not linked"
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert headings == ["Apply", "Verify", "What to change", "Traps"]
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page):
        assert target.startswith("https://") or (folder / target).exists(), f"{target} is not there"
    assert "curl" in page or "kubectl" in page
    # What a page writes as a variable or a flag is one.
    keys = known_keys()
    for name in re.findall(r"\bTAFFRAIL_[A-Z_]+\b", page):
        assert name in keys, f"{name} is no variable of Taffrail"


def known_keys():
    lines = kube.output_of(BINARY, "run", "--help")
    flags = re.findall(r"^\s+--([a-z][a-z0-9-]+)", lines, re.MULTILINE)
    flags += re.findall(r"--([a-z][a-z0-9-]+)\]", lines)
    return {"TAFFRAIL_" + flag.upper().replace("-", "_") for flag in flags}


def test_what_the_hooks_run_is_a_verb():
    hooks = {
        tuple(kube.sidecar_of(spec)["lifecycle"]["preStop"]["exec"]["command"])
        for manifest in MANIFESTS
        for _one, spec in kube.pods(load(manifest))
    }
    for program, *arguments in hooks:
        assert program == "/usr/local/bin/taffrail"
        kube.output_of(BINARY, *arguments, "--help")


def test_the_inference_service_is_kserves():
    (service,) = load(RECIPES / "kserve/inference-service.yaml")
    looks = [VENVS / "kube/bin/python", PARTS / "kserve_fields.py"]
    kube.output_of(*looks, input=json.dumps(service))
    service["spec"]["predictor"]["model"]["storageURI"] = "gs://no-such-key"
    refused = subprocess.run(looks, check=False, input=json.dumps(service), capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0 and "storageURI" in refused.stderr


def test_the_mesh_policy_is_istios():
    documents = load(RECIPES / "mesh/istio.yaml")
    policies = kube.by_kind(documents, "PeerAuthentication")
    kube.check_with_npm("istio", "security.istio.io/v1", policies)
    ((one, _spec),) = kube.pods(documents)
    labels = one["spec"]["template"]["metadata"]["labels"]
    assert policies[0]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_mesh_leaves_the_admin_port_alone():
    for name, annotation in {
        "linkerd": "config.linkerd.io/skip-inbound-ports",
        "istio": "traffic.sidecar.istio.io/excludeInboundPorts",
    }.items():
        ((one, spec),) = kube.pods(load(RECIPES / f"mesh/{name}.yaml"))
        ports = {port["name"]: port["containerPort"] for port in kube.sidecar_of(spec)["ports"]}
        annotations = one["spec"]["template"]["metadata"]["annotations"]
        assert annotations[annotation] == str(ports["taffrail-admin"])


def test_azure_ml_takes_the_deployment(tmp_path):
    folder = tmp_path / "azureml"
    shutil.copytree(AZUREML, folder)
    (folder / "model").mkdir()
    looks = [VENVS / "azureml/bin/python", PARTS / "azureml_load.py", folder]
    routes = json.loads(kube.output_of(*looks).splitlines()[-1])
    image = dict(re.findall(r"\b(TAFFRAIL_[A-Z_]+)=(\S+)", (AZUREML / "Dockerfile").read_text()))
    listens = int(image["TAFFRAIL_LISTEN"].rsplit(":", 1)[1])
    assert {route["port"] for route in routes.values()} == {listens}
    deployment = folder / "deployment.yaml"
    given = yaml.safe_load(deployment.read_text())["environment_variables"]
    told = subprocess.run([BINARY, "check"], check=False, capture_output=True, text=True, env={**image, **given})
    assert told.returncode == 0 and not told.stderr, told.stdout + told.stderr
    deployment.write_text(deployment.read_text().replace("scoring_route", "scoring_rout"))
    assert subprocess.run(looks, check=False, capture_output=True, timeout=60).returncode != 0


MODEL = """
import sys
sys.path.insert(0, sys.argv[1])
import signal, threading
from conftest import Upstream
upstream = Upstream()
print(upstream.server.server_port, flush=True)
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
ended.wait()
print("the model was told to end", flush=True)
"""


def start_container(tmp_path, processes, sleep):
    """`start.sh` with a model of a few lines, whose port has to be known before it starts."""
    port, listen, admin = free_port(), free_port(), free_port()
    model = tmp_path / "model.py"
    model.write_text(MODEL.replace("upstream = Upstream()", f"upstream = Upstream({port})"))
    env = {
        "TAFFRAIL_PROGRAM": str(BINARY),
        "SLEEP_BEFORE_END": str(sleep),
        "TAFFRAIL_UPSTREAM_URL": f"http://127.0.0.1:{port}",
        "TAFFRAIL_LISTEN": f"127.0.0.1:{listen}",
        "TAFFRAIL_ADMIN_ADDRESS": f"127.0.0.1:{admin}",
        "TAFFRAIL_DATA_DIR": str(tmp_path / "data"),
    }
    command = ["/bin/sh", AZUREML / "start.sh", sys.executable, model, PARTS]
    container = processes("start.sh", command, env=env)
    container.wait_ready(f"http://127.0.0.1:{admin}/readyz")
    return container, f"127.0.0.1:{listen}", f"http://127.0.0.1:{admin}"


def test_the_one_container_serves_on_while_it_is_told_to_end(tmp_path, processes):
    container, address, admin = start_container(tmp_path, processes, sleep=2)
    body = infer_body(a=[1.0, 2.0])

    def ask():
        return exchange(address, "POST", INFER, body, {"Content-Type": "application/json"})

    assert ask().status == 200
    # A container's runtime signals its first process, and that one alone.
    container.child.send_signal(signal.SIGTERM)
    wait_until(lambda: status_of(f"{admin}/readyz") == 503 or container.child.poll() is not None, "it drains", 10)
    assert ask().status == 200, "requests that still come are answered"
    assert container.child.wait(30) == 0, container.output()
    assert "the model was told to end" in container.output()


def test_the_one_container_ends_with_its_model(tmp_path, processes):
    container, _address, _admin = start_container(tmp_path, processes, sleep=0)
    children = kube.output_of("ps", "-ww", "-o", "pid=,args=", "--ppid", str(container.child.pid)).splitlines()
    (model,) = [int(line.split()[0]) for line in children if "model.py" in line]
    os.kill(model, signal.SIGKILL)
    assert container.child.wait(30) == 1
    assert "has ended" in container.output()
