"""Limits of a container, by the kernel's own control groups: a sidecar under load is never killed for
its memory, and a thread that hangs shows at /healthz. Needs the right to make such groups."""

import json
import os
import pathlib
import random
import re
import signal
import socketserver
import subprocess
import threading
import time

import pytest
from conftest import BINARY, Load, Process, Upstream, ask, free_port, get_json, infer_body, status_of, wait_until

ROOT = pathlib.Path("/sys/fs/cgroup")
MIB = 1 << 20
# Just under what is kept of a body, so that all of it is decoded, sketched and recorded.
LARGE = infer_body(**{f"f{n}": [round(random.Random(n).random(), 6) for _ in range(180)] for n in range(500)})
SMALL = infer_body(**{f"g{n}": [0.5] for n in range(12)})
assert 0.8 * MIB < len(LARGE) < MIB


class Sink(socketserver.ThreadingTCPServer):
    """A model that is as fast as Python can be: reads what was sent, and always says the same."""

    daemon_threads = True
    request_queue_size = 128
    ANSWER = Upstream.prediction(infer_body(a=[1.0]))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            answer = head % len(Sink.ANSWER) + Sink.ANSWER
            try:
                while self.rfile.readline():
                    length = 0
                    while (line := self.rfile.readline()) not in (b"\r\n", b""):
                        name, _, value = line.partition(b":")
                        length = int(value) if name.lower() == b"content-length" else length
                    self.rfile.read(length)
                    self.wfile.write(answer)
            except OSError:
                pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def sink():
    made = Sink()
    yield made
    made.shutdown()
    made.server_close()


class Group:
    """A memory group of version 2 or 1, made for one test and removed after it."""

    def __init__(self, limit_bytes):
        name = f"taffrail-test-{os.getpid()}-{limit_bytes // MIB}"
        self.is_v2 = (ROOT / "cgroup.controllers").exists()
        self.path = (ROOT if self.is_v2 else ROOT / "memory") / name
        self.path.mkdir()
        self.write("memory.max" if self.is_v2 else "memory.limit_in_bytes", limit_bytes)

    @classmethod
    def is_possible(cls):
        try:
            cls(512 * MIB).close()
        except OSError:
            return False
        return True

    def write(self, name, value):
        (self.path / name).write_text(str(value))

    def read(self, name):
        return (self.path / name).read_text()

    def kills(self):
        text = self.read("memory.events" if self.is_v2 else "memory.oom_control")
        return int(re.search(r"^oom_kill (\d+)", text, re.MULTILINE)[1])

    def peak_bytes(self):
        return int(self.read("memory.peak" if self.is_v2 else "memory.max_usage_in_bytes"))

    def close(self):
        wait_until(self.is_removed, "the group is empty", 20)

    def is_removed(self):
        try:
            self.path.rmdir()
        except OSError:
            return False
        return True


class Limited(Process):
    """A sidecar that is in its group before it runs, as in a container."""

    def __init__(self, directory, group, upstream, *arguments):
        port, self.admin = free_port(), f"http://127.0.0.1:{free_port()}"
        self.address = f"127.0.0.1:{port}"
        command = [BINARY, "run", "--upstream", upstream, "--listen", self.address, "--admin", self.admin[7:]]
        command += ["--data-dir", directory / "data", *arguments]
        enter = f'echo $$ > "{group.path}/cgroup.procs" && exec "$@"'
        super().__init__("taffrail", ["sh", "-c", enter, "sh", *command], directory)
        self.wait_ready(f"{self.admin}/readyz", 30)

    def status(self):
        return get_json(f"{self.admin}/api/v1/status")


@pytest.fixture
def limited(tmp_path, sink):
    if not Group.is_possible():
        pytest.skip("control groups of memory cannot be made here: not allowed, or not mounted")
    made = []

    def start(mebibytes, *arguments):
        group = Group(mebibytes * MIB)
        made.append((group, None))
        sidecar = Limited(tmp_path, group, sink.url, *arguments)
        made[-1] = (group, sidecar)
        return group, sidecar

    yield start
    for group, sidecar in made:
        if sidecar is not None:
            sidecar.discard()
        group.close()


@pytest.mark.parametrize("mebibytes", [64, 128, 256])
def test_a_saturating_load_is_shed_and_never_killed_for(limited, mebibytes):
    group, sidecar = limited(mebibytes, "--windows", "2s,10s", "--baseline-learn-rows", "200")
    plan = sidecar.status()["memory"]
    assert plan["limit_bytes"] == mebibytes * MIB
    assert sum(part["bytes"] for part in plan["parts"]) == plan["planned_bytes"] <= plan["limit_bytes"]
    assert f"memory_limit=\"{mebibytes}MiB\"" in sidecar.output()
    for body, seconds in ((SMALL, 4), (LARGE, 12), (SMALL, 2)):
        with Load(sidecar.address, body, clients=12) as load:
            time.sleep(seconds)
        assert (load.broken, set(load.statuses)) == ([], {200}), sidecar.output()
    assert sidecar.child.poll() is None and group.kills() == 0
    capture = sidecar.status()["capture"]
    shed = capture["sampled_out"] + capture["dropped_items"] + capture["dropped_bytes"]
    assert capture["kept"] > 0 and shed > 0, capture
    print(f"{mebibytes} MiB: peak {group.peak_bytes() / MIB:.0f} MiB, {capture}")
    assert sidecar.stop() == 0


def test_what_is_given_and_does_not_fit_is_warned_of_by_name(limited):
    _, sidecar = limited(64, "--capture-queue-bytes", "64MiB")
    warnings = [line for line in sidecar.output().splitlines() if line.startswith("warning:")]
    warning = next(line for line in warnings if "capture.queue_bytes takes" in line)
    assert "container's limit is 64 MiB" in warning, warnings
    assert sidecar.stop() == 0


def test_the_doctor_weighs_the_plan_against_the_limit(limited, tmp_path):
    group, _ = limited(128)
    command = [BINARY, "doctor", "--upstream", "http://127.0.0.1:1", "--format", "json", "--data-dir", tmp_path / "d"]
    enter = f'echo $$ > "{group.path}/cgroup.procs" && exec "$@"'

    def memory(*more):
        done = subprocess.run(
            ["sh", "-c", enter, "sh", *command, *more], check=False, capture_output=True, text=True, timeout=60
        )
        return next(one for one in json.loads(done.stdout)["checks"] if one["check"] == "memory")

    fitted = memory()
    assert fitted["state"] == "ok" and "the limit is 128 MiB" in fitted["seen"], fitted
    greedy = memory("--capture-queue-bytes", "1GiB")
    assert greedy["state"] == "warn" and "memory limit" in greedy["advice"], greedy


class Freezer:
    """Stops single threads of a process, which no signal can."""

    def __init__(self):
        self.path = ROOT / "freezer" / f"taffrail-test-{os.getpid()}"
        self.path.mkdir()

    def freeze(self, process, thread):
        tasks = pathlib.Path(f"/proc/{process}/task")
        found = next(task.name for task in tasks.iterdir() if (task / "comm").read_text().strip() == thread)
        (self.path / "tasks").write_text(found)
        self.state("FROZEN")

    def state(self, state):
        (self.path / "freezer.state").write_text(state)

    def close(self):
        self.state("THAWED")
        for task in (self.path / "tasks").read_text().split():
            (self.path.parent / "tasks").write_text(task)
        self.path.rmdir()


@pytest.fixture
def freezer():
    try:
        made = Freezer()
    except OSError:
        pytest.skip("a freezer of version 1, which stops single threads, cannot be made here")
    yield made
    made.close()


@pytest.mark.parametrize("thread", ["serving-0", "analysis"])
def test_a_thread_that_hangs_fails_liveness_and_is_named(freezer, upstream, sidecar, thread):
    through = sidecar(upstream.url, "--threads", "2")
    assert status_of(f"{through.admin}/healthz") == 200
    freezer.freeze(through.child.pid, thread)
    wait_until(lambda: status_of(f"{through.admin}/healthz") == 503, "it is seen to hang", 100, pause=1)
    done = subprocess.run(
        [BINARY, "doctor", "--upstream", upstream.url, "--listen", through.address, "--admin", through.admin[7:],
         "--data-dir", through.data, "--format", "json"],
        check=False, capture_output=True, text=True, timeout=60,
    )
    hung = [one for one in json.loads(done.stdout)["checks"] if one["check"] == "sidecar" and one["state"] == "fail"]
    assert len(hung) == 1 and thread in hung[0]["seen"] and "restart" in hung[0]["advice"], done.stdout
    freezer.state("THAWED")
    wait_until(lambda: status_of(f"{through.admin}/healthz") == 200, "it does its rounds again", 20)


def test_a_model_that_is_away_is_no_matter_of_liveness(sidecar):
    gone = Upstream()
    through = sidecar(gone.url)
    gone.close()
    wait_until(lambda: status_of(f"{through.admin}/readyz") == 503, "it is not ready", 30)
    assert status_of(f"{through.admin}/healthz") == 200
    assert ask(through, SMALL).status == 502
    assert through.stop(signal.SIGTERM) == 0
