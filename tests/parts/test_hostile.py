"""Payloads that no decoder likes pass unchanged, both ways, and are counted."""

import json

import pytest
from conftest import ask, exchange, infer_body, wait_until

PATH = "/v2/models/stub/infer"
JSON = "application/json"
MIB = 1 << 20


def tensor(data, datatype="FP64", shape=None):
    one = {"name": "a", "shape": shape or [len(data)], "datatype": datatype, "data": data}
    return json.dumps({"inputs": [one]}).encode()


UNDECODABLE = {
    "invalid JSON": (JSON, b'{"inputs": [{'),
    "not UTF-8": (JSON, b'{"inputs": "\xff\xfe"}'),
    "a lone NUL": (JSON, b"\0"),
    "deep nesting": (JSON, b"[" * 100_000),
    "wrong shape of JSON": (JSON, b'{"inputs": 7}'),
    "not gzip though it says so": (JSON, b"\x1f\x8b broken"),
}
ODD = {
    "empty": (JSON, b""),
    "wrong types": (JSON, tensor(["x", {}, [], True])),
    "NaN": (JSON, tensor([1.0, float("nan"), float("inf")])),
    "nulls": (JSON, tensor([None, 1.0, None])),
    "shape against data": (JSON, tensor([1.0], shape=[3, 4])),
    "numbers beyond f64": (JSON, b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[1e999]}]}'),
    "same name twice": (JSON, json.dumps({"inputs": [json.loads(tensor([1.0]))["inputs"][0]] * 2}).encode()),
    "unknown content type": ("application/x-nobody-knows", bytes(range(256))),
    "no content type": (None, infer_body(a=[1.0])),
    "bad content type": ("///;;=", infer_body(a=[1.0])),
    "huge": (JSON, tensor([0.125] * (2 * MIB))),
}


def headers_of(name, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    return headers | ({"Content-Encoding": "gzip"} if "gzip" in name else {})


@pytest.mark.parametrize("name", [*UNDECODABLE, *ODD])
def test_it_passes_unchanged(name, upstream, sidecar):
    content_type, body = (UNDECODABLE | ODD)[name]
    through = sidecar(upstream.url)
    headers = headers_of(name, content_type)
    proxied = exchange(through.address, "POST", PATH, body, headers)
    direct = exchange(upstream.address, "POST", PATH, body, headers)
    first, second = upstream.received
    assert first == second == (PATH, content_type, body)
    assert proxied.comparable() == direct.comparable()
    assert ask(through, infer_body(a=[1.0])).status == 200, "the next request is served"


def test_each_is_counted(upstream, sidecar):
    through = sidecar(upstream.url)
    payloads = UNDECODABLE | ODD
    for name, (content_type, body) in payloads.items():
        assert exchange(through.address, "POST", PATH, body, headers_of(name, content_type)).status == 200

    def outcome(kind):
        return through.total("taffrail_capture_exchanges_total", outcome=kind)

    wait_until(lambda: outcome("undecodable") >= len(UNDECODABLE), "undecodable payloads are counted", 20)
    wait_until(lambda: outcome("truncated") == 1, "the huge body is counted", 20)
    assert outcome("dropped") == 0

    def served():
        return through.total("http_server_request_duration_seconds_count", http_request_method="POST")

    wait_until(lambda: served() == len(payloads), "all are among the durations", 20)


def test_a_dead_model_is_a_502_that_says_so(sidecar, upstream):
    through = sidecar(upstream.url)
    upstream.close()
    answer = ask(through, infer_body(a=[1.0]))
    assert answer.status == 502
    assert json.loads(answer.body)
