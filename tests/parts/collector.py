"""An OTLP collector that adds up what it is sent, and can be away: it refuses connections, or takes them
and never answers. What it has counted outlives that, as a backend's store would."""

import contextlib
import socket
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from conftest import free_port
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """Connections are cut on purpose."""


class Silence:
    """Takes connections and what comes over them, and says nothing."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
        self.taken = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                self.taken.append(self.listener.accept()[0])
            except OSError:
                return

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.taken:
            connection.close()


class Collector:
    def __init__(self):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        # By metric: by series, the value so far; each series' end of its last interval.
        self.values = defaultdict(dict)
        self.until, self.overlaps, self.temporalities = {}, [], set()
        self.server, self.silence, self.open = None, None, set()

    def start(self):
        """Takes what comes, from now on."""
        if self.silence:
            self.silence.end()
            self.silence = None
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                collector.open.add(self.connection)

            def finish(self):
                collector.open.discard(self.connection)
                super().finish()

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                # What is counted is answered: else it would come again.
                with collector.lock:
                    if collector.server is None:
                        self.close_connection = True
                        return
                    collector.take(self.path, body)
                    self.send_response(200)
                    self.send_header("Content-Type", "application/x-protobuf")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def leave(self, silent=False):
        """Refuses connections, or hears them out without a word; open ones end."""
        with self.lock:
            leaving, self.server = self.server, None
        leaving.shutdown()
        leaving.server_close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if silent:
            self.silence = Silence(self.port)

    def take(self, path, body):
        if path != "/v1/metrics":
            return
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.add(metric)

    def add(self, metric):
        kind = metric.WhichOneof("data")
        if kind == "gauge" or (kind == "sum" and not metric.sum.is_monotonic):
            return
        data = getattr(metric, kind)
        self.temporalities.add(data.aggregation_temporality)
        for point in data.data_points:
            key = tuple(sorted((one.key, str(one.value)) for one in point.attributes))
            value = point.as_int if kind == "sum" else point.count
            if data.aggregation_temporality == DELTA:
                self.check_interval(metric.name, key, point)
                value += self.values[metric.name].get(key, 0)
            self.values[metric.name][key] = value

    def check_interval(self, name, key, point):
        """No moment is told of twice."""
        last = self.until.get((name, key), 0)
        if point.start_time_unix_nano < last or point.time_unix_nano < point.start_time_unix_nano:
            self.overlaps.append((name, key, last, point.start_time_unix_nano, point.time_unix_nano))
        self.until[name, key] = point.time_unix_nano

    def total(self, metric, **attributes):
        with self.lock:
            wanted = [(key, f'string_value: "{value}"\n') for key, value in attributes.items()]
            series = self.values[metric].items()
            return sum(value for key, value in series if all(one in key for one in wanted))
