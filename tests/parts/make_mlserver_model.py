"""Run in the MLServer environment: writes a small scikit-learn model and its settings to a folder."""

import json
import pathlib
import sys

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

directory, http_port, grpc_port, metrics_port = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:5])
values = np.random.default_rng(0).normal(size=(200, 3))
joblib.dump(LogisticRegression().fit(values, values.sum(axis=1) > 0), directory / "model.joblib")
model = {
    "name": "risk",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": "./model.joblib", "version": "v1"},
    "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 3]}],
    "outputs": [{"name": "predict", "datatype": "INT64", "shape": [-1, 1]}],
}
server = {
    "debug": False,
    "host": "127.0.0.1",
    "http_port": http_port,
    "grpc_port": grpc_port,
    "metrics_port": metrics_port,
    "parallel_workers": 0,
}
(directory / "model-settings.json").write_text(json.dumps(model))
(directory / "settings.json").write_text(json.dumps(server))
