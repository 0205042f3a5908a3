"""Run in the MLServer environment: the real V2 client asks HOST:PORT; what it understood goes to
standard output as JSON, one object an exchange."""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1])
values = np.array([[44.0, 0.5, 0.25], [-60.0, -9.0, 0.5]])


def say(**fields):
    print(json.dumps(fields, sort_keys=True))


say(live=client.is_server_live(), ready=client.is_model_ready("risk"))
say(metadata=client.get_model_metadata("risk"))
for compression in (None, "gzip", "deflate"):
    tensor = triton.InferInput("x", list(values.shape), "FP64")
    tensor.set_data_from_numpy(values, binary_data=False)
    output = triton.InferRequestedOutput("predict", binary_data=False)
    for request in range(3):
        try:
            result = client.infer(
                "risk",
                [tensor],
                outputs=[output],
                request_id=f"triton-{request}",
                request_compression_algorithm=compression,
                response_compression_algorithm=compression,
            )
            say(compression=compression, response=result.get_response(), values=result.as_numpy("predict").tolist())
        except InferenceServerException as error:  # the server's refusal is an answer to compare too
            say(compression=compression, refused=str(error))
