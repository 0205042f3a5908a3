"""The collector is away under a steady load: traffic does not notice, memory stays flat, and once it is
back the sums are complete, whether they are told as totals or as differences.

TAFFRAIL_OUTAGE_SECONDS sets how long it is away; 600 are ten minutes. What is printed (`pytest -s`) is
what the load saw; no time is asserted.
"""

import http.client
import os
import sys
import threading
import time

import pytest
from collector import CUMULATIVE, DELTA, Collector
from conftest import INFER, PARTS, exchange, free_port, infer_body, wait_until

OUTAGE = float(os.environ.get("TAFFRAIL_OUTAGE_SECONDS", "15"))
MIB = 1 << 20
BODY = infer_body(a=[0.5, 1.5], b=[2.0, 3.0])
# Of a client, in turn to the model itself and through the sidecar.
PAUSE = 0.02
CLIENTS = 2


class Pace:
    """Asks steadily, the model itself and then through each sidecar, so that all see the same machine."""

    def __init__(self, addresses):
        self.addresses = addresses
        self.answered, self.failed = dict.fromkeys(addresses, 0), []
        self.phase, self.times = "warm-up", {}
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self):
        connections = {}
        for address in self.addresses:
            host, port = address.rsplit(":", 1)
            connections[address] = http.client.HTTPConnection(host, int(port), timeout=30)
        while not self.stopping.wait(PAUSE):
            for address, connection in connections.items():
                self.ask(address, connection)

    def ask(self, address, connection):
        since = time.perf_counter()
        try:
            connection.request("POST", INFER, BODY, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException) as error:
            status = repr(error)
        took = time.perf_counter() - since
        with self.lock:
            if status == 200:
                self.answered[address] += 1
            else:
                self.failed.append((address, status))
            self.times.setdefault((self.phase, address), []).append(took)

    def quantile(self, phase, address, share=0.99):
        with self.lock:
            times = sorted(self.times[phase, address])
        return times[int(share * (len(times) - 1))]


@pytest.fixture
def model(processes):
    port = free_port()
    processes("model", [sys.executable, PARTS / "pod_model.py", port])
    address = f"127.0.0.1:{port}"

    def is_up():
        try:
            return exchange(address, "POST", INFER, b"{}").status == 200
        except OSError:
            return False

    wait_until(is_up, "the model is up", 20)
    return address


@pytest.mark.parametrize("silent", [False, True], ids=["refusing", "silent"])
def test_memory_stays_flat_and_sums_are_complete_afterwards(silent, model, sidecar):
    collectors = {"cumulative": Collector().start(), "delta": Collector().start()}
    sidecars = {}
    for temporality, collector in collectors.items():
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
        env |= {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality}
        env |= {"OTEL_EXPORTER_OTLP_TIMEOUT": "2000", "OTEL_SERVICE_NAME": temporality}
        sidecars[temporality] = sidecar(f"http://{model}", "--archive", "off", env=env)
    through = {one.address: name for name, one in sidecars.items()}
    memory = {name: {} for name in sidecars}

    def watch(phase, seconds):
        pace.phase = phase
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.5)
            for name, one in sidecars.items():
                memory[name].setdefault(phase, []).append(one.resident_bytes())

    with Pace([model, *through]) as pace:
        for name, collector in collectors.items():
            wait_until(lambda it=collector: told(it) > 0, f"{name} sums are told", 30)
        watch("before", max(5.0, OUTAGE / 10))
        for collector in collectors.values():
            collector.leave(silent)
        watch("during", OUTAGE)
        for collector in collectors.values():
            collector.start()
        watch("after", max(5.0, OUTAGE / 10))
    assert not pace.failed
    report(pace, model, through, memory)

    for address, name in through.items():
        one, collector, sent = sidecars[name], collectors[name], pace.answered[address]
        assert one.total("taffrail_export_requests_total", exporter="otlp", outcome="failed") > 0, "it was away"
        wait_until(lambda it=collector, n=sent: told(it) >= n, f"{name}: {sent} requests are told of", 60)
        one.drain()
        assert told(collector) == sent
        outcomes = ("kept", "sampled_out", "dropped")
        captured = [collector.total("taffrail.capture.exchanges", outcome=outcome) for outcome in outcomes]
        assert sum(captured) == sent, dict(zip(outcomes, captured, strict=True))
        assert collector.total("http.client.request.duration") == sent
        assert collector.temporalities == {DELTA if name == "delta" else CUMULATIVE}
        assert not collector.overlaps, collector.overlaps[:3]
        held = max(memory[name]["before"])
        assert max(memory[name]["during"]) < 1.3 * held + 8 * MIB, memory[name]
        assert max(memory[name]["after"]) < 1.3 * held + 8 * MIB, memory[name]
    for collector in collectors.values():
        collector.leave()


def told(collector):
    return collector.total("http.server.request.duration")


def report(pace, model, through, memory):
    for address, name in through.items():
        ratios, rss = [], []
        for phase in ("before", "during", "after"):
            ratio = pace.quantile(phase, address) / pace.quantile(phase, model)
            ratios.append(f"{phase} {ratio:.2f} ({1000 * pace.quantile(phase, address):.1f} ms)")
            held = memory[name][phase]
            rss.append(f"{phase} {held[0] / MIB:.1f} to {held[-1] / MIB:.1f}, at most {max(held) / MIB:.1f}")
        print(f"\n{name}: {pace.answered[address]} requests; p99 through to direct: {', '.join(ratios)}")
        print(f"  RSS MiB: {'; '.join(rss)}")
