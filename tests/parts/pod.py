"""Pods without a cluster: each has a network namespace, its own address, and two containers in it, the
sidecar and a model, which share its 127.0.0.1. They are started, probed and ended in the order the
kubelet keeps for native sidecars, by what k8s/taffrail-sidecar.yaml says.

The order of ending is that of the kubelet's killContainer: preStop hooks of all containers run at
once; then the model is signalled, and the sidecar only when the model has ended; SIGKILL follows when
the grace period is over. Meanwhile endpoints are withdrawn, and every client learns of that late.
"""

import ctypes
import functools
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
import yaml
from conftest import BINARY, PARTS, ROOT, Process, get_text, series, wait_until

# Times of the manifest are multiplied by this; 1 is what a cluster does.
SCALE = float(os.environ.get("TAFFRAIL_POD_SCALE", "0.1"))
CLONE_NEWNET = 0x40000000
NODE = "10.244.0.1"
MODEL_PORT = 8080
# The kubelet gives that much to each container, however late it is.
LEAST_GRACE = 2.0
# Of the withdrawal of an endpoint to one client, in seconds of a cluster.
PROPAGATION = (1.0, 5.0)


def scaled(seconds):
    return seconds * SCALE


def in_a_network_of_its_own(test):
    """Runs the test on a thread whose sockets and children are in a new network namespace."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        outcome = []

        def body():
            try:
                enter_new_network()
                test(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001, it is raised again below
                outcome.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if outcome:
            raise outcome[0]

    return run


def enter_new_network():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        pytest.skip(f"network namespaces are not permitted here: {os.strerror(ctypes.get_errno())}")
    if not run_ip("link set lo up") or not run_ip(f"addr add {NODE}/32 dev lo"):
        pytest.skip("`ip` cannot set up a network here")


def run_ip(line, pid=None):
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []
    return subprocess.run([*inside, "ip", *line.split()], check=False, capture_output=True).returncode == 0


class Manifest:
    """What a Deployment says of its sidecar and its model."""

    def __init__(self, path=ROOT / "k8s/taffrail-sidecar.yaml"):
        objects = {one["kind"]: one for one in yaml.safe_load_all(path.read_text())}
        spec = objects["Deployment"]["spec"]["template"]["spec"]
        self.grace = scaled(spec["terminationGracePeriodSeconds"])
        (self.sidecar,) = spec["initContainers"]
        (self.model,) = spec["containers"]
        self.ports = {port["name"]: port["containerPort"] for port in self.sidecar["ports"]}
        self.port = self.ports[objects["Service"]["spec"]["ports"][0]["targetPort"]]
        self.env = {one["name"]: one["value"] for one in self.sidecar["env"] if "value" in one}

    def probe(self, kind):
        probe = self.sidecar[kind]
        path, port = probe["httpGet"]["path"], self.ports[probe["httpGet"]["port"]]
        return path, port, scaled(probe["periodSeconds"]), probe["failureThreshold"]

    def hook(self, container):
        return container.get("lifecycle", {}).get("preStop", {})


class Pod:
    """One pod, from its first container to its last. `sidecar` and `model` are processes."""

    def __init__(self, manifest, number, directory, env=None, load=0.0):
        self.manifest, self.env, self.load = manifest, {**manifest.env, **(env or {})}, load
        self.directory = directory / f"pod-{number}"
        self.directory.mkdir()
        self.env["TAFFRAIL_DATA_DIR"] = str(self.directory / "data")
        self.address = f"10.244.{number // 200}.{2 + number % 200}"
        self.traffic = f"{self.address}:{manifest.port}"
        self.admin = f"http://{self.address}:{manifest.ports['taffrail-admin']}"
        self.started, self.sidecar, self.model = [], None, None
        self.is_ready, self.is_ending = False, threading.Event()
        self.probes, self.liveness_failures = 0, 0
        self.probing = None
        self.pause = self.run("pause", ["unshare", "--net", "sleep", "3600"], inside=False)
        self.connect(f"veth{number}")

    def connect(self, link):
        """A wire to the node, and an address at its end."""
        pid = self.pause.child.pid
        own = os.stat(f"/proc/self/task/{threading.get_native_id()}/ns/net").st_ino
        wait_until(lambda: os.stat(f"/proc/{pid}/ns/net").st_ino != own, "a namespace", 10, pause=0.005)
        for line, inside in (
            (f"link add {link} type veth peer name eth0 netns {pid}", None),
            (f"link set {link} up", None),
            (f"route add {self.address}/32 dev {link} src {NODE}", None),
            ("link set lo up", pid),
            ("link set eth0 up", pid),
            (f"addr add {self.address}/32 dev eth0", pid),
            (f"route add {NODE}/32 dev eth0", pid),
        ):
            assert run_ip(line, inside), line

    def run(self, name, command, inside=True, env=None):
        entering = ["nsenter", f"--net=/proc/{self.pause.child.pid}/ns/net"] if inside else []
        count = sum(one.name.startswith(name) for one in self.started)
        self.started.append(Process(f"{name}-{count}", [*entering, *command], self.directory, env))
        return self.started[-1]

    def total(self, metric, **labels):
        """Sum of all series of a Prometheus metric that carry these labels."""
        found = series(get_text(f"{self.admin}/metrics"), metric)
        return sum(value for names, value in found if labels.items() <= names.items())

    # Starting

    def start(self):
        """As the kubelet does: the sidecar, its start-up probe, the model, and then both."""
        self.start_sidecar()
        self.start_model()
        self.probing = threading.Thread(target=self.keep_probing, daemon=True)
        self.probing.start()
        return self

    def start_sidecar(self):
        self.sidecar = self.run("sidecar", [BINARY, *self.manifest.sidecar["args"]], env=self.env)
        path, port, period, threshold = self.manifest.probe("startupProbe")
        # The process may be slower than the scale.
        for _ in range(round(threshold / SCALE)):
            if self.status(path, port, period) == 200:
                return
            assert self.sidecar.child.poll() is None, self.sidecar.output()
            time.sleep(period)
        raise AssertionError(f"the sidecar did not start:\n{self.sidecar.output()}")

    def start_model(self):
        command = [sys.executable, PARTS / "pod_model.py", MODEL_PORT, "--load", self.load]
        self.model = self.run("model", command)

    def status(self, path, port, seconds=1.0):
        request = urllib.request.Request(f"http://{self.address}:{port}{path}", headers={"Connection": "close"})
        try:
            with urllib.request.urlopen(request, timeout=max(seconds, 1.0)) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def keep_probing(self):
        """Readiness and liveness, each at its period, until the sidecar has been signalled."""
        path, port, period, threshold = self.manifest.probe("readinessProbe")
        alive_path, alive_port, *_ = self.manifest.probe("livenessProbe")
        failures = 0
        while not self.is_ending.wait(period):
            failures = 0 if self.status(path, port) == 200 else failures + 1
            self.is_ready = failures == 0 or (self.is_ready and failures < threshold)
            self.liveness_failures += self.status(alive_path, alive_port) != 200
            self.probes += 1

    def wait_ready(self, ready=True, seconds=30.0):
        wait_until(lambda: self.is_ready == ready, f"ready: {ready}\n{self.sidecar.output()}", seconds, pause=0.01)
        return self

    # Ending

    def end(self, grace=None):
        """The kubelet's order. Gives the exit codes of the model and of the sidecar."""
        # What is no waiting takes as long as it does, whatever the scale.
        until = time.monotonic() + (grace or max(self.manifest.grace, 15.0))
        telling = threading.Thread(target=self.pre_stop, args=("sidecar", self.manifest.sidecar))
        telling.start()
        if SCALE < 1:
            # A process starts no faster for that; on a busy machine it can take longer than the sleep.
            telling.join()
        self.pre_stop("model", self.manifest.model)
        codes = [self.signal(self.model, until)]
        telling.join()
        self.is_ending.set()
        codes.append(self.signal(self.sidecar, until))
        self.probing.join()
        return codes

    def pre_stop(self, name, container):
        hook = self.manifest.hook(container)
        if "sleep" in hook:
            time.sleep(scaled(hook["sleep"]["seconds"]))
        if "exec" in hook:
            _, *arguments = hook["exec"]["command"]
            told = self.run(f"{name}-hook", [BINARY, *arguments], env=self.env)
            assert told.child.wait(30) == 0, told.output()

    @staticmethod
    def signal(process, until):
        process.child.send_signal(signal.SIGTERM)
        try:
            return process.child.wait(max(until - time.monotonic(), LEAST_GRACE))
        except subprocess.TimeoutExpired:
            process.child.kill()
            return process.child.wait()

    def discard(self):
        self.is_ending.set()
        for process in reversed(self.started):
            process.discard()


class Endpoints:
    """What clients may send to: each learns of a withdrawal after its own delay."""

    def __init__(self):
        self.pods = {}

    def add(self, pod):
        self.pods[pod] = None

    def withdraw(self, pod):
        self.pods[pod] = time.monotonic()

    def pick(self, lag):
        """An address as a client sees it whose view is `lag` seconds old."""
        now = time.monotonic()
        seen = [pod for pod, gone in list(self.pods.items()) if gone is None or now - gone < lag]
        return random.choice(seen).address


class Deployment:
    """A few replicas, replaced one by one: a new pod is ready before an old one has to go."""

    def __init__(self, manifest, directory, replicas=2, **options):
        directory.mkdir()
        self.manifest, self.directory, self.options = manifest, directory, options
        self.endpoints, self.made, self.ending, self.codes = Endpoints(), [], [], []
        self.current = [self.new_pod() for _ in range(replicas)]

    def new_pod(self, wait=True):
        pod = Pod(self.manifest, len(self.made), self.directory, **self.options)
        self.made.append(pod)
        pod.start()
        if wait:
            pod.wait_ready()
            self.endpoints.add(pod)
        return pod

    def roll_out(self):
        for old in list(self.current):
            self.current.append(self.new_pod())
            self.current.remove(old)
            self.terminate(old)

    def terminate(self, pod):
        def body():
            self.codes.append(pod.end())
            pod.discard()

        self.endpoints.withdraw(pod)
        self.ending.append(threading.Thread(target=body))
        self.ending[-1].start()

    def settle(self):
        for thread in self.ending:
            thread.join()

    def discard(self):
        self.settle()
        for pod in self.made:
            pod.discard()
