"""MLServer behind the sidecar: plain HTTP and the Triton client see what they see without it."""

import json
import subprocess

import pytest
from conftest import PARTS, VENVS, exchange, free_port, get_json, wait_until

PYTHON = VENVS / "mlserver/bin/python"


@pytest.fixture(scope="module")
def mlserver(processes, tmp_path_factory):
    directory = tmp_path_factory.mktemp("mlserver-model")
    ports = [free_port() for _ in range(3)]
    make = [PYTHON, PARTS / "make_mlserver_model.py", directory, *map(str, ports)]
    subprocess.run(make, check=True, timeout=120)
    process = processes("mlserver", [VENVS / "mlserver/bin/mlserver", "start", directory], directory=directory)
    address = f"127.0.0.1:{ports[0]}"
    process.wait_ready(f"http://{address}/v2/models/risk/ready", 120)
    GRPC[address] = f"127.0.0.1:{ports[1]}"
    return address


# Of each HTTP address, that of the same server's gRPC service.
GRPC = {}


def v2(rows, request_id="req-1", **fields):
    data = [value for row in rows for value in row]
    tensor = {"name": "x", "shape": [len(rows), 3], "datatype": "FP64", "data": data}
    return json.dumps({"id": request_id, "inputs": [tensor], **fields})


ROWS = [[44, 0.5, 0.25], [-60, -9.0, 0.5]]
INFER = "/v2/models/risk/infer"
EXCHANGES = [
    ("GET", "/v2/health/live", None),
    ("GET", "/v2/models/risk", None),
    ("GET", "/v2", None),
    ("POST", INFER, v2(ROWS)),
    (
        "POST",
        INFER,
        json.dumps({"id": "n", "inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP64", "data": ROWS}]}),
    ),
    ("POST", INFER, v2(ROWS, "proba", outputs=[{"name": "predict_proba"}])),
    ("POST", "/v2/models/risk/versions/v1/infer", v2(ROWS, "versioned")),
    ("POST", INFER, v2(ROWS * 500, "many")),
    ("POST", INFER, "{not json"),
    (
        "POST",
        INFER,
        json.dumps({"id": "s", "inputs": [{"name": "x", "shape": [7, 9], "datatype": "FP64", "data": [1]}]}),
    ),
    ("POST", "/v2/models/none/infer", v2(ROWS)),
    ("GET", "/nowhere?a=b&c=%20", None),
]


def test_plain_http_is_byte_identical(mlserver, sidecar):
    through = sidecar(f"http://{mlserver}")
    for method, path, body in EXCHANGES:
        headers = {"Content-Type": "application/json", "x-request-id": "fixed"}
        direct = exchange(mlserver, method, path, body, headers)
        proxied = exchange(through.address, method, path, body, headers)
        assert proxied.comparable() == direct.comparable(), f"{method} {path} {body}"


def test_every_answer_carries_a_request_id(mlserver, sidecar):
    through = sidecar(f"http://{mlserver}")
    kept = exchange(through.address, "GET", "/v2/health/live", headers={"x-request-id": "mine"})
    made = exchange(through.address, "GET", "/v2/health/live")
    assert kept.header("x-request-id") == "mine"
    assert len(made.header("x-request-id")) == 36


def test_the_triton_client_sees_no_difference(mlserver, sidecar):
    through = sidecar(f"http://{mlserver}")

    def ask(address):
        command = [PYTHON, PARTS / "triton_exchange.py", address]
        done = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
        return done.stdout.splitlines()

    direct, proxied = ask(mlserver), ask(through.address)
    assert len(direct) == 11
    assert proxied == direct


def test_features_of_the_tensor_are_found(mlserver, sidecar):
    through = sidecar(f"http://{mlserver}")
    for request in range(20):
        exchange(through.address, "POST", INFER, v2(ROWS, f"r{request}"), {"Content-Type": "application/json"})
    rows = wait_until(
        lambda: through.total("taffrail_feature_rows_total", role="input") or learning(through), "rows were seen"
    )
    assert rows
    assert through.total("taffrail_capture_exchanges_total", outcome="undecodable") == 0


@pytest.mark.parametrize(
    ("form", "answered", "dialect"),
    [("http", 0, "open_inference_v2"), ("grpc", 2, "open_inference_grpc")],
)
def test_tensors_that_come_as_bytes_are_rows(mlserver, sidecar, form, answered, dialect):
    through = sidecar(f"http://{mlserver if form == 'http' else GRPC[mlserver]}")
    command = [PYTHON, PARTS / "triton_tensors.py", form, through.address]
    done = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    assert int(done.stdout) == answered

    def decoded():
        return get_json(f"{through.admin}/api/v1/status")["decoded"]

    wait_until(lambda: decoded()["input_rows"] == 4, "rows were seen")
    wait_until(lambda: decoded()["output_rows"] == 2 * answered, "predictions were seen")
    assert decoded()["problems"] == []
    exchanges = get_json(f"{through.admin}/api/v1/exchanges")["exchanges"]
    assert {one["dialect"] for one in exchanges if one["input_rows"]} == {dialect}
    names = {one["feature"] for one in get_json(f"{through.admin}/api/v1/features")["features"]}
    assert {"f0", "f1", "f2"} <= names
    assert ("predict" in names) == (answered > 0)


def learning(through):
    """While the baseline is learnt there are no bins yet; the status says how far it is."""
    return "learning" in json.dumps(get_json(f"{through.admin}/api/v1/status")).lower()
