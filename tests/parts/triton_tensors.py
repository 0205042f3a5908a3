"""Run in the MLServer environment: the real V2 clients send tensors as bytes, twice two rows each. Says
how many answers came: over HTTP the server refuses the bytes.

    triton_tensors.py http|grpc HOST:PORT"""

import sys

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

form, address = sys.argv[1:]
triton = tritonclient.http if form == "http" else tritonclient.grpc
client = triton.InferenceServerClient(address)
values = np.array([[44.0, 0.5, 0.25], [-60.0, -9.0, 0.5]])
tensor = triton.InferInput("x", list(values.shape), "FP64")
tensor.set_data_from_numpy(values)
answers = 0
for request in range(2):
    try:
        result = client.infer("risk", [tensor], request_id=f"bytes-{request}")
        answers += len(result.as_numpy("predict")) == 2
    except InferenceServerException:
        pass
print(answers)
