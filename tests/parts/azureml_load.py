"""Has the Azure ML SDK load a folder's deployment and endpoint, and prints the routes of the container."""

import json
import sys

from azure.ai.ml import load_online_deployment, load_online_endpoint

folder = sys.argv[1]
endpoint = load_online_endpoint(f"{folder}/endpoint.yaml")
deployment = load_online_deployment(f"{folder}/deployment.yaml")
assert type(endpoint).__name__ == "KubernetesOnlineEndpoint"
assert type(deployment).__name__ == "KubernetesOnlineDeployment"
assert deployment.endpoint_name == endpoint.name
routes = deployment.environment.inference_config.as_dict()
assert set(routes) == {"livenessRoute", "readinessRoute", "scoringRoute"}, routes
print(json.dumps(routes))
