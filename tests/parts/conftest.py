"""What every test of a real component needs: processes that start, say when they are ready and are
stopped by id, ports that are free, and exchanges read off the wire as they are."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = pathlib.Path(__file__).resolve().parent
BINARY = pathlib.Path(os.environ.get("TAFFRAIL_BIN", ROOT / "target/release/taffrail"))
VENVS = pathlib.Path(os.environ.get("TAFFRAIL_VENVS", ROOT / ".venv"))

# Not the model's: the time of the answer, and what a request without an id is given.
UNCOMPARED_HEADERS = {"date", "x-request-id"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what, seconds=60.0, pause=0.1):
    """Polls `condition` until it gives something true, and gives that."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def get_text(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


def get_json(url):
    return json.loads(get_text(url))


class Process:
    """A child process whose output goes to a file, and which is never left behind."""

    def __init__(self, name, arguments, directory, env=None):
        self.name = name
        self.log = pathlib.Path(directory) / f"{name}.log"
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [str(argument) for argument in arguments],
                cwd=directory,
                env={**os.environ, **(env or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_ready(self, url, seconds=60.0):
        def ready():
            assert self.child.poll() is None, f"{self.name} ended:\n{self.output()}"
            return status_of(url) == 200

        wait_until(ready, f"{self.name} ready at {url}:\n{self.output()}", seconds)
        return self

    def stop(self, sent=signal.SIGTERM, seconds=40.0):
        """Sends the signal and gives the exit code."""
        if self.child.poll() is None:
            self.child.send_signal(sent)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
            raise AssertionError(f"{self.name} did not end:\n{self.output()}") from None

    def discard(self):
        """Ends the process and whatever it started, unheard."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.child.pid, sent)
            except ProcessLookupError:
                break
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                pass


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Starts processes that live as long as the module's tests."""
    started = []

    def start(name, arguments, env=None, directory=None):
        directory = directory or tmp_path_factory.mktemp(name)
        started.append(Process(name, arguments, directory, env))
        return started[-1]

    yield start
    for process in reversed(started):
        process.discard()


class Sidecar(Process):
    """`taffrail run` on free ports, ready to serve."""

    def __init__(self, directory, upstream, *arguments, env=None):
        self.port, self.admin_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.data = pathlib.Path(directory) / "data"
        command = [BINARY, "run", "--upstream", upstream, "--listen", self.address]
        command += ["--admin", f"127.0.0.1:{self.admin_port}", "--data-dir", self.data]
        super().__init__("taffrail", [*command, *arguments], directory, env)
        self.wait_ready(f"{self.admin}/readyz", 20)

    def metrics(self):
        return get_text(f"{self.admin}/metrics")

    def total(self, metric, **labels):
        """Sum of all series of a Prometheus metric that carry these labels; 0 if there is none."""
        return sum(value for found, value in series(self.metrics(), metric) if labels.items() <= found.items())

    def drain(self):
        code = self.stop()
        assert code == 0, f"exit {code} after SIGTERM:\n{self.output()}"


def series(text, metric):
    """(labels, value) of each line of one metric in the Prometheus text format."""
    for line in text.splitlines():
        match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
        if match and match[1] == metric:
            yield dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")), float(match[3])


@pytest.fixture
def sidecar(tmp_path):
    """Starts sidecars; at the end each must drain on SIGTERM and exit 0, unless it already did."""
    started = []

    def start(upstream, *arguments, env=None):
        directory = tmp_path / f"sidecar-{len(started)}"
        directory.mkdir()
        started.append(Sidecar(directory, upstream, *arguments, env=env))
        return started[-1]

    yield start
    try:
        for one in started:
            if one.child.returncode is None:
                one.drain()
    finally:
        for one in started:
            one.discard()


class Answer:
    """One response as it came: status, reason, headers in their order and spelling, body."""

    def __init__(self, response):
        self.status, self.reason = response.status, response.reason
        self.headers = response.getheaders()
        self.body = response.read()

    def comparable(self):
        headers = [(name, value) for name, value in self.headers if name.lower() not in UNCOMPARED_HEADERS]
        return self.status, self.reason, headers, self.body

    def header(self, name):
        return next((value for found, value in self.headers if found.lower() == name), None)


def exchange(address, method, path, body=None, headers=None):
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Upstream:
    """A model server of a few lines, for what no real one does on demand. Records what it was sent,
    answers every POST with one prediction a row of the first input."""

    def __init__(self):
        self.received = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.answer(b"{}")

            def do_POST(self):
                body = self.body()
                upstream.received.append((self.path, self.headers.get("content-type"), body))
                self.answer(upstream.prediction(body))

            def body(self):
                if "chunked" not in self.headers.get("transfer-encoding", ""):
                    return self.rfile.read(int(self.headers.get("content-length", 0)))
                chunks = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                return b"".join(chunks)

            def answer(self, body):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def prediction(body):
        try:
            values = json.loads(body)["inputs"][0]["data"]
            answers = [float(value) > 0 for value in values]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            answers = []
        output = {"name": "y", "shape": [len(answers)], "datatype": "BOOL", "data": answers}
        return json.dumps({"model_name": "stub", "outputs": [output]}).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def upstream():
    server = Upstream()
    yield server
    server.close()


def infer_body(**columns):
    """An Open Inference V2 request of named FP64 columns."""
    inputs = [
        {"name": name, "shape": [len(values)], "datatype": "FP64", "data": list(values)}
        for name, values in columns.items()
    ]
    return json.dumps({"inputs": inputs}).encode()


def ask(sidecar, body, request_id=None):
    headers = {"Content-Type": "application/json"}
    if request_id:
        headers["x-request-id"] = request_id
    return exchange(sidecar.address, "POST", "/v2/models/stub/infer", body, headers)
