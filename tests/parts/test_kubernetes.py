"""The manifests are what the Kubernetes API takes."""

import subprocess
import sysconfig

import pytest
import yaml
from conftest import ROOT

MANIFESTS = sorted(ROOT.glob("k8s/*.yaml"))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_the_manifest_is_valid(manifest):
    validate = sysconfig.get_path("scripts") + "/kubernetes-validate"
    done = subprocess.run([validate, "--strict", manifest], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sidecar_is_native_and_the_service_finds_it():
    objects = {one["kind"]: one for one in yaml.safe_load_all((ROOT / "k8s/taffrail-sidecar.yaml").read_text())}
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (sidecar,) = pod["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= sidecar.keys()
    ports = {port["name"] for port in sidecar["ports"]}
    assert objects["Service"]["spec"]["ports"][0]["targetPort"] in ports
