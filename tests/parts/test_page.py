"""The pages in Chromium, of a sidecar under load: in both themes, wide and narrow, with and without a
script; by pointer and by keyboard; audited by axe-core. And the API's description, by its own validator."""

import json
import os
import random
import re
import subprocess
import threading
import time
import urllib.request

import pytest
from conftest import BINARY, INFER, PARTS, VENVS, Sidecar, Upstream, exchange, get_json, wait_until
from openapi_spec_validator import validate

TOKEN = "a-token-of-the-test"
VIEWS = ["light", "dark", "phone", "phone-dark", "scriptless", "scriptless-phone"]
PLACES = {
    "overview": "Overview",
    "health": "Model health",
    "feature": "Model health",
    "category": "Model health",
    "performance": "Performance",
    "exchanges": "Exchanges",
    "one": "Exchanges",
    "system": "System",
}


class Traffic:
    """Asks about three rows at a time, labels every other answer, and shifts after a while."""

    def __init__(self, sidecar, stable_seconds):
        self.sidecar, self.stable_seconds = sidecar, stable_seconds
        self.numbers, self.stopping = random.Random(7), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.broken = []

    def run(self):
        begun = time.monotonic()
        try:
            while not self.stopping.is_set():
                shifted = time.monotonic() - begun > self.stable_seconds
                labels = [self.ask(shifted) for _ in range(20)][::2]
                self.label([label for rows in labels for label in rows])
        except OSError as error:
            self.broken.append(error)

    def ask(self, shifted):
        """Slowly enough that an exchange is still held when a reader has clicked on it."""
        self.stopping.wait(0.02)
        gauss, identity = self.numbers.gauss, f"order-{self.numbers.getrandbits(48):012x}"
        cities = self.numbers.choices(["Oslo", "Rome", "Kyiv"], [1, 6, 2] if shifted else [4, 4, 2], k=3)
        columns = [
            ("income", "FP64", [gauss(3.0 if shifted else 2.0, 1) for _ in range(3)]),
            ("age", "FP64", [gauss(40, 9) for _ in range(3)]),
            ("city", "BYTES", cities),
        ]
        inputs = [{"name": n, "shape": [3], "datatype": t, "data": data} for n, t, data in columns]
        body = json.dumps({"inputs": inputs}).encode()
        headers = {"Content-Type": "application/json", "x-request-id": identity, "x-tenant": "acme"}
        exchange(self.sidecar.address, "POST", INFER, body, headers)
        return [{"id": f"{identity}#{row}", "label": self.numbers.random() < 0.8} for row in range(3)]

    def label(self, labels):
        request = urllib.request.Request(
            f"{self.sidecar.admin}/api/v1/labels",
            json.dumps(labels).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    numbers = random.Random(3)
    train = {
        "income": [numbers.gauss(2, 1) for _ in range(1500)],
        "age": [numbers.gauss(40, 9) for _ in range(1500)],
        "city": numbers.choices(["Oslo", "Rome", "Kyiv"], [4, 4, 2], k=1500),
    }
    csv = folder / "train.csv"
    rows = zip(*train.values(), strict=True)
    csv.write_text("\n".join([",".join(train), *(",".join(map(str, row)) for row in rows), ""]))
    baseline, token = folder / "baseline.json", folder / "token"
    token.write_text(TOKEN)
    subprocess.run([BINARY, "baseline", "build", "--from", csv, "--out", baseline], check=True, timeout=60)
    upstream = Upstream()
    arguments = ["--baseline", baseline, "--windows", "2s,8s", "--admin-token-file", token]
    arguments += ["--capture-headers", "x-tenant", "--export-otlp-endpoint", upstream.url, "--model-name", "income"]
    sidecar = Sidecar(folder, upstream.url, *arguments)
    sidecar.folder = folder
    traffic = Traffic(sidecar, 12)
    traffic.thread.start()
    try:
        wait_until(lambda: verdicts(sidecar).count("drifting") >= 3, "three windows drift", 90)
        yield sidecar
        assert traffic.broken == []
    finally:
        traffic.stopping.set()
        traffic.thread.join()
        sidecar.discard()
        upstream.close()


def verdicts(sidecar):
    windows = get_json(f"{sidecar.admin}/api/v1/drift")["windows"]
    return [window["verdict"] for window in windows if window["window"] == "2s"]


@pytest.fixture(scope="module")
def seen(served):
    """What Chromium saw."""
    pages = {
        "overview": "/",
        "health": "/drift",
        "feature": "/features/income?role=input",
        "category": "/features/city?role=input",
        "performance": "/performance",
        "exchanges": "/exchanges",
        # The newest of them: traffic goes on, and only the last ones are held.
        "one": "@newest",
        "system": "/system",
    }
    env = {**os.environ, "NODE_PATH": str(VENVS / "node/node_modules")}
    command = ["node", PARTS / "page.js", served.admin, served.folder, TOKEN, json.dumps(pages)]
    done = subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("view", VIEWS)
def test_pages_are_whole_for_every_reader(served, seen, view):
    found = seen["views"][view]
    assert found["errors"] == [], "nothing is said on the console"
    elsewhere = [url for url in found["requests"] if not url.startswith(f"{served.admin}/")]
    assert elsewhere == [], "nothing is loaded from elsewhere"
    for name, page in found["pages"].items():
        assert page["headings"] == 1, f"{name}: one heading of the first order"
        assert page["current"] == [PLACES[name]], f"{name}: the navigation says where one is"
        if not view.startswith("scriptless"):
            assert page["overflow"] <= 0, f"{name} is wider than the window"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("overview", ["income", "Drifting", "Latency", "Coverage", "p99.9"]),
        ("health", ["income", "age", "city", "All features together"]),
        ("feature", ["Quantiles", "Which bins moved", "▲ more", "worth acting on"]),
        ("category", ["Rome", "Which categories moved", "New category"]),
        ("performance", ["Accuracy", "Label delay, median"]),
        ("exchanges", ["Find", "Found", "Sign out"]),
        ("one", ["Request", "Response", "Trace id", "x-tenant", "acme", "Input rows", "Output rows"]),
        ("system", ["otlp metrics", "Queue memory", "admin.token_file"]),
    ],
)
def test_each_page_says_what_it_is_for_with_and_without_a_script(seen, page, words):
    for view in VIEWS:
        text = seen["views"][view]["pages"][page]["text"]
        missing = [word for word in words if word not in text]
        assert missing == [], f"{view}: {missing} not in {text}"


@pytest.mark.parametrize("page", ["overview", "health", "feature", "category", "performance"])
def test_values_are_told_to_a_pointer_and_to_the_keyboard(seen, page):
    for view in ("light", "dark"):
        tips = seen["views"][view]["pages"][page]["tips"]
        assert re.search(r"\d", tips["byKey"]) and re.search(r"\d", tips["byPointer"]), tips
        assert tips["next"] != tips["byKey"], "the arrow goes on to another mark"
        assert tips["spoken"] == tips["next"].replace("\n", ", "), "a screen reader hears what is shown"
        assert tips["hidden"], "Escape puts the words away"
    scriptless = seen["views"]["scriptless"]["pages"][page]
    assert scriptless["titles"] > 10, "without a script, marks carry their values as titles"


def test_the_page_is_dark_where_that_is_asked_for(seen):
    def brightness(view):
        background = seen["views"][view]["pages"]["overview"]["background"]
        return sum(map(int, re.findall(r"\d+", background)[:3]))

    assert brightness("light") > 600 > 200 > brightness("dark")


@pytest.mark.parametrize("view", ["light", "dark", "phone"])
def test_axe_finds_nothing_serious(seen, view):
    for page, result in seen["axe"][view].items():
        assert result["passed"] >= 20, f"{page}: axe looked at nothing"
        serious = [one for one in result["violations"] if one["impact"] in ("serious", "critical")]
        assert serious == [], page


def test_axe_would_find_what_is_wrong(seen):
    assert {"image-alt", "button-name"} <= set(seen["planted"])


def test_the_page_stays_live_and_says_when_it_is_not(seen):
    live = seen["live"]
    assert live["kept"] == {"open": True, "focus": "more"}
    assert live["said"]["live"] == "Live"
    assert (live["said"]["paused"], live["requestsWhilePaused"]) == ("Paused", 0)
    assert re.fullmatch(r"Not reachable: figures are \d+ s old", live["said"]["lost"])


def test_the_description_of_the_api_is_valid_openapi(served):
    document = get_json(f"{served.admin}/api/v1/openapi.json")
    assert document["openapi"].startswith("3.1")
    validate(document)

