"""The shipped Grafana dashboards, what they ask, and how Grafana fills in their variables."""

import json
import re

from conftest import ROOT

PATHS = sorted((ROOT / "k8s/grafana").glob("*.json"))
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in PATHS}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
BUILT_IN = {"__rate_interval", "__range", "__interval", "__url_time_range", "__auto", "__data", "__all"}


def panels(dashboard):
    return [one for one in dashboard["panels"] if one["type"] != "row"]


def questions(dashboard):
    """(where, expression) of every target and annotation."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]


def variables(dashboard):
    return {one["name"]: one for one in dashboard["templating"]["list"]}


def names_in(text):
    return {braced or bare for braced, bare in VARIABLE.findall(text)}


def filled(expression, values):
    return VARIABLE.sub(lambda match: values[match[1] or match[2]], expression)
