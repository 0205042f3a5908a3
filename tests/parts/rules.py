"""The shipped Prometheus rules, and promtool's unit tests written from series."""

import json
import re
import subprocess

import yaml
from conftest import ROOT

FILES = sorted((ROOT / "k8s/prometheus").glob("*.yaml"))
GROUPS = [group for path in FILES for group in yaml.safe_load(path.read_text())["groups"]]
RULES = [rule for group in GROUPS for rule in group["rules"]]
# What is recorded before what reads it: in a test the groups of one moment run in this order.
ORDER = sorted((group["name"] for group in GROUPS), key=lambda name: name.endswith("-alerts"))
MODEL = {"namespace": "ml", "model_name": "income"}
VERSION = {**MODEL, "model_version": "3"}
FEATURE = {**VERSION, "feature": "age", "role": "input"}
MINUTE, HOUR, DAY = 1, 60, 60 * 24


def selector(labels):
    return "{" + ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items()) + "}"


def pod(number, **labels):
    """What a PodMonitor and the sidecar put on each series."""
    name = f"income-{number}"
    target = {"job": "ml/taffrail", "instance": f"10.0.0.{number}:9464", "pod": name}
    return {**VERSION, **target, **labels}


def series(name, labels, values):
    """One input series; `values` in promtool's notation, or one number a step."""
    if not isinstance(values, str):
        values = " ".join(map(repr, values))
    return {"series": name + selector(labels), "values": values}


def grows(name, labels, by, steps):
    """A counter that grows by as much each step."""
    return series(name, labels, f"0+{by}x{steps}")


def holds(name, labels, value, steps):
    return series(name, labels, f"{value}+0x{steps}")


class Unit:
    """Series, one value each `step` minutes, rules evaluated each `every`, and what is asked at minute `at`."""

    def __init__(self, name, inputs, at, step=1, every="1m"):
        self.name, self.inputs, self.at, self.step, self.every = name, inputs, at, step, every
        self.queries, self.expected_alerts = [], []

    def expect(self, expression, *samples):
        """`samples` are (labels, value); none means that there is no such series."""
        expected = [{"labels": selector(labels), "value": value} for labels, value in samples]
        self.queries.append({"expr": expression, "eval_time": f"{self.at}m", "exp_samples": expected})
        return self

    def expect_alerts(self, name):
        self.expected_alerts.append({"eval_time": f"{self.at}m", "alertname": name, "exp_alerts": []})
        return self

    def test(self):
        return {
            "name": self.name,
            "interval": f"{self.step}m",
            "input_series": self.inputs,
            "promql_expr_test": self.queries,
            "alert_rule_test": self.expected_alerts,
        }


def recorded_in(expression):
    return set(re.findall(r"\btaffrail:[\w:]+", expression))


def needed(unit):
    """Groups as shipped, with those rules alone that the questions hang on; the others would only take time."""
    wanted, new = set(), {alert["alertname"] for alert in unit.expected_alerts}
    for query in (query["expr"] for query in unit.queries):
        new |= recorded_in(query) | set(re.findall(r'alertname="(\w+)"', query))
    while new - wanted:
        wanted |= new
        expressions = [rule["expr"] for rule in RULES if rule.get("record", rule.get("alert")) in wanted]
        new = set().union(*map(recorded_in, expressions))
    groups = []
    for name in ORDER:
        (group,) = [group for group in GROUPS if group["name"] == name]
        rules = [rule for rule in group["rules"] if rule.get("record", rule.get("alert")) in wanted]
        groups += [{**group, "rules": rules}] if rules else []
    assert groups, unit.name
    return groups


def promtool(directory, units):
    """What `promtool test rules` says of each unit: (exit code, output)."""
    outputs = []
    for number, unit in enumerate(units):
        rules, file = directory / f"rules-{number}.yaml", directory / f"test-{number}.yaml"
        rules.write_text(json.dumps({"groups": needed(unit)}))
        content = {"rule_files": [str(rules)], "evaluation_interval": unit.every, "tests": [unit.test()]}
        file.write_text(json.dumps({**content, "group_eval_order": [group["name"] for group in needed(unit)]}))
        command = ["promtool", "test", "rules", file]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        outputs.append((done.returncode, done.stdout + done.stderr))
    return outputs


def assert_all_hold(directory, units):
    for code, output in promtool(directory, units):
        assert code == 0, output
