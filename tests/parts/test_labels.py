"""Labels that come later become accuracy."""

from conftest import ask, exchange, infer_body, wait_until


def test_accuracy_follows_the_labels(upstream, sidecar):
    through = sidecar(upstream.url)
    admin = through.admin.removeprefix("http://")
    for number in range(10):
        assert ask(through, infer_body(a=[1.0]), f"id-{number}").status == 200
    wait_until(lambda: through.total("taffrail_capture_exchanges_total", outcome="kept") == 10, "all were captured")
    lines = [f"id-{number},{'true' if number < 7 else 'false'}" for number in range(10)]
    posted = exchange(
        admin, "POST", "/api/v1/labels", "\n".join(["id,label", *lines, ""]), {"Content-Type": "text/csv"}
    )
    assert 200 <= posted.status < 300, posted.body
    wait_until(lambda: through.total("taffrail_labels_coverage") == 1, "all labels were joined", 30)
    assert through.total("taffrail_performance_accuracy") == 0.7
