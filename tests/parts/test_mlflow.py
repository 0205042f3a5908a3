"""MLflow's scoring server behind the sidecar: every payload form it takes, byte for byte."""

import json
import os
import subprocess

import pytest
from conftest import PARTS, VENVS, exchange, free_port

BIN = VENVS / "mlflow/bin"


@pytest.fixture(scope="module")
def mlflow(processes, tmp_path_factory):
    directory = tmp_path_factory.mktemp("mlflow-model")
    env = {"PATH": f"{BIN}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    make = [BIN / "python", PARTS / "make_mlflow_model.py", directory / "model"]
    subprocess.run(make, check=True, timeout=180, env={**os.environ, **env})
    port = free_port()
    command = [BIN / "mlflow", "models", "serve", "-m", directory / "model", "--env-manager", "local"]
    command += ["-h", "127.0.0.1", "-p", port, "--workers", "1"]
    process = processes("mlflow", command, env=env, directory=directory)
    process.wait_ready(f"http://127.0.0.1:{port}/ping", 180)
    return f"127.0.0.1:{port}", directory / "model/MLmodel"


JSON = "application/json"
COLUMNS = ["age", "income", "ratio"]
ROWS = [[44, 21000.5, 0.25], [60, 99000.0, 0.5]]
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
CSV = "age,income,ratio\n44,21000.5,0.25\n60,99000.0,0.5\n"
GOOD = [
    (JSON, json.dumps({"dataframe_split": {"columns": COLUMNS, "data": ROWS}})),
    (JSON, json.dumps({"dataframe_records": RECORDS})),
    (JSON, json.dumps({"instances": RECORDS})),
    (JSON, json.dumps({"inputs": {name: [row[i] for row in ROWS] for i, name in enumerate(COLUMNS)}})),
    ("text/csv", CSV),
]
BAD = [
    (JSON, "{not json"),
    (JSON, json.dumps({"dataframe_split": {"columns": ["age"], "data": [["x"]]}})),
    (JSON, json.dumps({"nothing": 1})),
    ("text/plain", "hello"),
]


def test_every_form_is_byte_identical(mlflow, sidecar):
    address, signature = mlflow
    through = sidecar(f"http://{address}", "--model-signature", signature)
    for path in ("/ping", "/version"):
        assert exchange(through.address, "GET", path).comparable() == exchange(address, "GET", path).comparable()
    for content_type, body in GOOD + BAD:
        headers = {"Content-Type": content_type}
        direct = exchange(address, "POST", "/invocations", body, headers)
        proxied = exchange(through.address, "POST", "/invocations", body, headers)
        assert proxied.comparable() == direct.comparable(), f"{content_type} {body}"


def test_no_form_that_mlflow_takes_is_undecodable(mlflow, sidecar):
    address, _ = mlflow
    through = sidecar(f"http://{address}")
    for content_type, body in GOOD:
        answer = exchange(through.address, "POST", "/invocations", body, {"Content-Type": content_type})
        assert answer.status == 200, answer.body
    through.drain()
    assert "panick" not in through.output()
