"""The demo as a user sees it: its terminal, its page in Chromium, its verdicts, its end."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import zlib

import pytest
from conftest import BINARY, PARTS, VENVS, Process, get_json, get_text, series, wait_until


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo")
    process = Process("demo", [BINARY, "demo"], directory)

    def address():
        assert process.child.poll() is None, process.output()
        return re.search(r"http://127\.0\.0\.1:\d+", process.output())

    try:
        process.page = wait_until(address, "the demo says its page's address", 20)[0]
        process.wait_ready(f"{process.page}/readyz", 20)
        yield process
    finally:
        process.discard()


def accuracy(page):
    found = [value for _, value in series(get_text(f"{page}/metrics"), "taffrail_performance_accuracy")]
    return found[0] if found else None


def test_summer_is_stable_then_winter_drifts_and_accuracy_falls(demo):
    seen, accuracies = [], []

    def drifting():
        for window in get_json(f"{demo.page}/api/v1/drift")["windows"]:
            key = (window["start"], window["end"])
            if window["rows"] > 0 and key not in [one[0] for one in seen]:
                seen.append((key, window["verdict"]))
        accuracies.append(accuracy(demo.page))
        return [verdict for _, verdict in seen].count("drifting") >= 3

    wait_until(drifting, "three drifting windows within a minute and a half", 90, pause=0.5)
    verdicts = [verdict for _, verdict in seen if verdict != "insufficient_data"]
    assert verdicts.index("drifting") >= 2, f"summer is stable first: {verdicts}"
    wait_until(lambda: accuracy(demo.page) < max(filter(None, accuracies)) - 0.02, "accuracy falls", 60, pause=0.5)


@pytest.fixture(scope="module")
def seen(demo):
    """What Chromium saw of the page, by view."""
    env = {**os.environ, "NODE_PATH": str(VENVS / "node/node_modules")}
    command = ["node", PARTS / "shot.js", demo.page, folder_of(demo), "temp_max"]
    done = subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("view", ["light", "dark", "phone", "scriptless"])
def test_chromium_shows_the_page(demo, seen, view):
    view, picture = seen[view], folder_of(demo) / f"{view}.png"
    assert (view["errors"], view["failures"]) == ([], [])
    assert all(request.startswith(f"{demo.page}/") for request in view["requests"]), view["requests"]
    for word in ("precipitation", "weather", "seattle-weather"):
        assert word in view["shown"], f"{word} is not on the page"
    assert view["overflow"] <= 0, "the page is no wider than the window"
    assert distinct_bytes_of_rows(picture) > 100, "the picture is nearly blank"


def test_the_page_is_dark_where_that_is_asked_for(seen):
    light, dark = (sum(map(int, re.findall(r"\d+", seen[view]["background"])[:3])) for view in ("light", "dark"))
    assert light > 600 > 200 > dark


def test_the_page_stays_live_with_and_without_its_script(seen):
    assert (seen["light"]["refreshed"], seen["light"]["live"]) == ("fragment", "Live")
    assert (seen["scriptless"]["refreshed"], seen["scriptless"]["live"]) == ("page", "Refreshed every 5 s")


def test_ports_that_are_taken_are_said(demo, tmp_path):
    second = Process("second", [BINARY, "demo"], tmp_path)
    try:
        wait_until(lambda: "taken" in second.output(), "the second demo says that ports are taken", 20)
        page = re.search(r"http://127\.0\.0\.1:\d+", second.output())[0]
        assert page != demo.page
        second.wait_ready(f"{page}/readyz", 20)
        assert second.stop(signal.SIGINT) == 0
    finally:
        second.discard()


def test_ctrl_c_drains_and_exits_0(demo):
    assert demo.stop(signal.SIGINT) == 0, demo.output()
    assert "panick" not in demo.output()
    host, port = demo.page.removeprefix("http://").split(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0


def folder_of(process):
    return process.log.parent


def distinct_bytes_of_rows(picture):
    """How many different rows of pixels a PNG has, as far as its filters let rows differ."""
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    _, height = struct.unpack(">II", data[16:24])
    packed, at = b"", 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    pixels = zlib.decompress(packed)
    stride = len(pixels) // height
    return len({pixels[row * stride : (row + 1) * stride] for row in range(height)})
