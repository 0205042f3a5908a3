"""What every test of a real component needs: processes that start, say when they are ready and are
stopped by id, ports that are free, and exchanges read off the wire as they are."""

import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = pathlib.Path(__file__).resolve().parent
BINARY = pathlib.Path(os.environ.get("TAFFRAIL_BIN", ROOT / "target/release/taffrail"))
ROTEL = sysconfig.get_path("purelib") + "/rotel/rotel-agent"
VENVS = pathlib.Path(os.environ.get("TAFFRAIL_VENVS", ROOT / ".venv"))

INFER = "/v2/models/stub/infer"
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
                # A write over a limit of file sizes is then an error like any other of the disk.
                restore_signals=False,
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

    def __init__(self, directory, upstream, *arguments, data=None, env=None, ready="/readyz"):
        self.port, self.admin_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.data = pathlib.Path(data or directory / "data")
        command = [BINARY, "run", "--upstream", upstream, "--listen", self.address]
        command += ["--admin", f"127.0.0.1:{self.admin_port}", "--data-dir", self.data]
        super().__init__("taffrail", [*command, *arguments], directory, env)
        self.wait_ready(f"{self.admin}{ready}", 20)

    def metrics(self):
        return get_text(f"{self.admin}/metrics")

    def total(self, metric, **labels):
        """Sum of all series of a Prometheus metric that carry these labels; 0 if there is none."""
        return sum(value for found, value in series(self.metrics(), metric) if labels.items() <= found.items())

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def drain(self):
        code = self.stop()
        assert code == 0, f"exit {code} after SIGTERM:\n{self.output()}"


def series(text, metric):
    """(labels, value) of each line of one metric in the Prometheus text format."""
    for line in text.splitlines():
        match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
        if match and match[1] == metric:
            yield dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")), float(match[3])


def check_archive(directory, exchanges=None):
    """DuckDB, pandas and `archive verify` agree on what is there."""
    claims = [sys.executable, PARTS / "archive_readers.py", directory]
    claims += [] if exchanges is None else ["--exchanges", str(exchanges)]
    for command in (claims, [BINARY, "archive", "verify", directory]):
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def sidecar(tmp_path):
    """Starts sidecars; at the end each must drain on SIGTERM and exit 0, unless it already did."""
    started = []

    def start(upstream, *arguments, **options):
        directory = tmp_path / f"sidecar-{len(started)}"
        directory.mkdir()
        started.append(Sidecar(directory, upstream, *arguments, **options))
        return started[-1]

    yield start
    try:
        for one in started:
            if one.child.returncode is None:
                one.drain()
    finally:
        for one in started:
            one.discard()


class Agent:
    """rotel, a real OTLP agent, at ports that stay its own while it is away."""

    def __init__(self, processes):
        self.processes = processes
        self.grpc, self.http = free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{self.http}"
        self.process = None

    def start(self):
        command = [ROTEL, "start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"]
        command += ["--otlp-grpc-endpoint", f"127.0.0.1:{self.grpc}"]
        command += ["--otlp-http-endpoint", f"127.0.0.1:{self.http}"]
        for kind in ("traces", "metrics", "logs"):
            command += ["--debug-log", kind]
        self.process = self.processes("rotel", command)
        wait_until(lambda: "Starting Rotel" in self.output(), "rotel is up", 20)
        return self

    def output(self):
        return self.process.output()


@pytest.fixture
def agent(processes):
    return Agent(processes)


class Answer:
    """One response as it came: status, reason, headers in their order, body."""

    def __init__(self, response):
        self.status, self.reason = response.status, response.reason
        self.headers = response.getheaders()
        self.body = response.read()

    def comparable(self):
        """Names of fields in small letters: they have no case (RFC 9110, section 5.1)."""
        headers = [(name.lower(), value) for name, value in self.headers]
        return self.status, self.reason, [one for one in headers if one[0] not in UNCOMPARED_HEADERS], self.body

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


class Load:
    """Clients that each ask again as soon as they are answered, for as long as the block lasts."""

    def __init__(self, address, body, clients=2):
        self.address, self.body = address, body
        self.statuses, self.broken = Counter(), []
        self.stopping = threading.Event()
        self.clients = [threading.Thread(target=self.ask, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for client in self.clients:
            client.join()

    def ask(self):
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            while not self.stopping.is_set():
                connection.request("POST", INFER, self.body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                self.statuses[answer.status] += 1
        except (OSError, http.client.HTTPException) as error:
            self.broken.append(error)
        finally:
            connection.close()

    def answered(self):
        return self.statuses.total()


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A sidecar that is killed cuts its connections; that is no fault of the server."""


class Upstream:
    """A model server of a few lines, for what no real one does on demand. Records what it was sent,
    answers every POST with one prediction a row of the first input."""

    def __init__(self, port=0):
        self.received = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

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

        self.server = QuietServer(("127.0.0.1", port), Handler)
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


class FailingUpstream(Upstream):
    """Remembers who called, and fails when it is asked to."""

    def __init__(self):
        super().__init__()
        self.parents = []
        model, base = self, self.server.RequestHandlerClass

        class Handler(base):
            def do_POST(self):
                model.parents.append(self.headers.get("traceparent"))
                if self.headers.get("x-fail") == "status":
                    self.body()
                    self.send_error(503)
                elif self.headers.get("x-fail") == "break":
                    self.body()
                    self.close_connection = True
                else:
                    super().do_POST()

        self.server.RequestHandlerClass = Handler


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


def ask(sidecar, body, request_id=None, **more):
    """`more` are headers, their names with underscores."""
    headers = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in more.items()}}
    if request_id:
        headers["x-request-id"] = request_id
    return exchange(sidecar.address, "POST", INFER, body, headers)


def gaussian_rows(count, shift, numbers):
    """Rows of two features, `a` around `shift` and `b` around 5, by name."""
    return {
        "a": [numbers.gauss(shift, 1) for _ in range(count)],
        "b": [numbers.gauss(5, 2) for _ in range(count)],
    }


def write_csv(path, columns):
    rows = [",".join(map(repr, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([",".join(columns), *rows, ""]))
    return path


@pytest.fixture
def baseline(tmp_path):
    """Of a thousand rows of `gaussian_rows` around 0."""
    train = write_csv(tmp_path / "train.csv", gaussian_rows(1000, 0.0, random.Random(1)))
    out = tmp_path / "baseline.json"
    subprocess.run([BINARY, "baseline", "build", "--from", train, "--out", out], check=True, timeout=60)
    return out
