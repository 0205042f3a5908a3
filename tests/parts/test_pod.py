"""Pods by the manifest, in network namespaces: rollouts under load lose nothing, and what breaks inside
a pod costs no more than it must."""

import json
import signal
import threading
import urllib.error
import urllib.request

import pytest
from conftest import INFER, exchange, get_json, wait_until
from pod import SCALE, Deployment, Manifest, in_a_network_of_its_own
from pod_clients import Clients, Http1, is_readable

ROLLOUTS = 20
# Clients that ask seldom need a drain of more than the two seconds that they may be silent.
SELDOM = 3 if SCALE >= 0.5 else 0


@pytest.fixture
def pods(tmp_path):
    made = []

    def deploy(replicas=2, **options):
        made.append(Deployment(Manifest(), tmp_path / f"deployment-{len(made)}", replicas, **options))
        return made[-1]

    yield deploy
    for one in made:
        one.discard()


class Asking:
    """Requests under way, each on a connection of its own; `ends` holds what became of them."""

    def __init__(self, pod, asks):
        self.pod, self.ends = pod, []
        self.threads = [threading.Thread(target=self.ask, args=(asked,), daemon=True) for asked in asks]
        for thread in self.threads:
            thread.start()
        wait_until(lambda: self.under_way() == len(asks), "requests under way", 20, pause=0.01)

    def ask(self, asked):
        body = json.dumps(asked).encode()
        try:
            answer = exchange(self.pod.traffic, "POST", INFER, body, {"Content-Type": "application/json"})
            self.ends.append((answer.status, answer.body))
        except Exception as error:  # noqa: BLE001, what it is gets judged by the test
            self.ends.append((None, repr(error)))

    def under_way(self):
        return self.pod.total("http_server_active_requests")

    def join(self):
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a client was left without an end"
        return self.ends


def ask(pod, **asked):
    body = json.dumps({"id": "one", **asked}).encode()
    return exchange(pod.traffic, "POST", INFER, body, {"Content-Type": "application/json"})


@in_a_network_of_its_own
def test_no_rollout_loses_a_request(pods):
    through = pods()
    with (
        Clients(through.endpoints, through.manifest.port) as clients,
        Clients(through.endpoints, through.manifest.port, http1=SELDOM, http2=0, pause=(1.0, 8.0)) as seldom,
    ):
        for _ in range(ROLLOUTS):
            through.roll_out()
        through.settle()
    for load in (clients, seldom):
        assert not load.failed, f"{len(load.failed)} of {load.answered.total()}: {load.failed[:5]}"
    # A pod may have to go before a client that keeps its connection elsewhere comes to it.
    assert len(clients.answered) > ROLLOUTS, clients.answered
    assert through.codes == [[0, 0]] * (2 * ROLLOUTS)
    assert sum(pod.liveness_failures for pod in through.made) == 0
    print(f"{clients.answered.total()} + {seldom.answered.total()} requests, {2 * ROLLOUTS} pods ended, none lost")


@in_a_network_of_its_own
def test_a_pod_that_has_to_go_sees_its_last_answer_through(pods):
    """A stream of ten seconds; the model is signalled in its midst, and the sidecar after the model."""
    (pod,) = pods(replicas=1).current
    asking = Asking(pod, [{"id": "long", "take": 10.0, "stream": 20}])
    assert pod.end() == [0, 0]
    ((status, body),) = asking.join()
    assert (status, body.count(b'"long"')) == (200, 20)


@in_a_network_of_its_own
def test_who_is_told_to_go_is_served_until_then_and_silent_connections_are_closed(pods):
    (pod,) = pods(replicas=1).current
    busy, silent = (Http1(lambda: pod.address, pod.manifest.port) for _ in range(2))
    for client in (busy, silent):
        client.ask({"id": "before"})
    pod.pre_stop("sidecar", pod.manifest.sidecar)
    pod.wait_ready(False)
    # The answer says so, whereupon the next request comes over a new connection, and is served.
    for number in range(3):
        busy.ask({"id": f"after-{number}"})
        assert busy.connection.sock is None, "the answer asked for the end of the connection"
    wait_until(lambda: is_readable(silent.connection.sock), "the silent connection is closed", 20)
    assert pod.model.child.poll() is None and pod.sidecar.child.poll() is None
    assert ask(pod).status == 200
    assert pod.end() == [0, 0]


@in_a_network_of_its_own
def test_only_the_pod_itself_can_drain_it(pods):
    (pod,) = pods(replicas=1).current
    request = urllib.request.Request(f"{pod.admin}/api/v1/drain", method="POST", data=b"")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert (refused.value.code, json.load(refused.value)["error"]) == (403, "not_from_this_host")
    assert get_json(f"{pod.admin}/readyz") == {"state": "ready"}
    assert ask(pod).header("connection") is None


@in_a_network_of_its_own
def test_a_model_that_loads_for_long_gets_no_traffic_and_no_restart(pods):
    """The sidecar is up first; the pod is ready when the model is, and was alive all the while."""
    through = pods(replicas=0, load=2.0)
    pod = through.new_pod(wait=False)
    assert pod.status("/healthz", pod.manifest.ports["taffrail-admin"]) == 200
    assert get_json_of_error(f"{pod.admin}/readyz")["state"] == "upstream_unreachable"
    assert not pod.is_ready
    pod.wait_ready()
    assert ask(pod).status == 200
    assert pod.liveness_failures == 0


def get_json_of_error(url):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=10)
    return json.load(refused.value)


@in_a_network_of_its_own
def test_a_model_that_crashes_costs_what_was_under_way_and_no_more(pods):
    (pod,) = pods(replicas=1).current
    kept = Http1(lambda: pod.address, pod.manifest.port)
    kept.ask({"id": "before"})
    asking = Asking(pod, [{"id": f"lost-{number}", "take": 30.0} for number in range(4)])
    pod.model.stop(signal.SIGKILL)
    ends = asking.join()
    assert [status for status, _ in ends] == [502] * 4
    assert all(b"upstream_reset" in body for _, body in ends), ends
    # Nobody waits for a model that is away; and nobody restarts the sidecar for it.
    told = ask(pod)
    assert (told.status, json.loads(told.body)["error"]["type"]) == (502, "upstream_connect")
    pod.wait_ready(False)

    pod.start_model()
    pod.wait_ready()
    for number in range(50):
        kept.ask({"id": f"after-{number}"})
    assert pod.total("http_server_request_duration_seconds_count", error_type="upstream_reset") == 4
    assert pod.liveness_failures == 0


@in_a_network_of_its_own
def test_a_model_that_hangs_does_not_make_the_sidecar_look_dead(pods):
    (pod,) = pods(replicas=1).current
    pod.model.child.send_signal(signal.SIGSTOP)
    asking = Asking(pod, [{"id": "patient"}])
    probed = pod.probes
    wait_until(lambda: pod.probes >= probed + 20, "many probes", 30)
    assert pod.liveness_failures == 0
    pod.model.child.send_signal(signal.SIGCONT)
    ((status, _),) = asking.join()
    assert status == 200, "it was only late"


@in_a_network_of_its_own
def test_a_hung_model_is_killed_when_the_grace_is_over_and_its_clients_are_told(pods):
    (pod,) = pods(replicas=1).current
    pod.model.child.send_signal(signal.SIGSTOP)
    asking = Asking(pod, [{"id": "in vain"}])
    assert pod.end(grace=1.0) == [-signal.SIGKILL, 0]
    ((status, body),) = asking.join()
    assert status == 502 and b"upstream_reset" in body


@in_a_network_of_its_own
def test_a_sidecar_that_is_killed_is_restarted_and_goes_on(pods):
    (pod,) = pods(replicas=1).current
    kept = Http1(lambda: pod.address, pod.manifest.port)
    kept.ask({"id": "before"})
    asking = Asking(pod, [{"id": "lost", "take": 3.0}])
    pod.sidecar.stop(signal.SIGKILL)
    ((status, _),) = asking.join()
    assert status is None, "its connection was cut"
    pod.start_sidecar()
    pod.wait_ready()
    for number in range(50):
        kept.ask({"id": f"after-{number}"})
    assert pod.end() == [0, 0]
