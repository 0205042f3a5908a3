"""The endpoint that telemetry for Application Insights is posted to, in a few lines."""

import gzip
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler

from conftest import ROOT, VENVS, QuietServer, free_port

PYTHON = VENVS / "appinsights/bin/python"
VALIDATE = ROOT / "tests/fixtures/application_insights/validate_breeze.py"
KEY = "00000000-0000-0000-0000-0000000000a7"


def connection(port):
    return {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={KEY};"
        f"IngestionEndpoint=http://127.0.0.1:{port}/",
        "POD_NAME": "weather-0",
        "OTEL_SERVICE_NAME": "weather-sidecar",
    }


class Ingestion:
    """At a port that stays its own while it is away. Keeps what it takes, and each body in a file."""

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        self.items, self.files, self.server = [], [], None

    def start(self):
        ingestion = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                count = ingestion.take(self.path, body)
                answer = json.dumps({"itemsReceived": count, "itemsAccepted": count, "errors": []}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self.server = QuietServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def take(self, path, body):
        assert path == "/v2.1/track"
        items = [json.loads(line) for line in body.splitlines()]
        file = self.directory / f"track-{len(self.files):04}.jsonl"
        file.write_bytes(body)
        self.files.append(file)
        self.items.extend(items)
        return len(items)

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def of(self, base_type):
        return [item for item in list(self.items) if item["data"]["baseType"] == base_type]

    def request_ids(self):
        return [item["data"]["baseData"]["properties"]["taffrail.request.id"] for item in self.of("RequestData")]

    def validate(self):
        done = subprocess.run(
            [PYTHON, VALIDATE, *self.files], check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        print(done.stdout.strip())
