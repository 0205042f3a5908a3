"""The dashboards are what Grafana takes: its own types say so, and what types cannot say is checked here."""

import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT, VENVS
from dashboards import BUILT_IN, DASHBOARDS, PATHS, names_in, panels, questions, variables
from rules import RULES

NODE = VENVS / "node/node_modules"
ALL = pytest.mark.parametrize("name", DASHBOARDS)

# What is generic in the schema, by type of panel, and the file that has its types.
PANEL_TYPES = {
    "timeseries": "timeseries", "stat": "stat", "table": "table", "heatmap": "heatmap", "barchart": "barchart",
    "state-timeline": "statetimeline",
}


def test_the_checked_in_json_is_what_the_source_makes():
    sys.path.insert(0, str(ROOT / "k8s/grafana"))
    import build

    assert {path: path.read_text() for path in PATHS} == build.dashboards()


@ALL
def test_panels_stand_apart_and_say_what_they_show(name):
    dashboard = DASHBOARDS[name]
    ids = [one["id"] for one in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken = {}
    for one in dashboard["panels"]:
        place = one["gridPos"]
        assert place["x"] + place["w"] <= 24, one["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (one["title"], taken.get((x, y)))
                taken[x, y] = one["title"]
    titles = [one["title"] for one in panels(dashboard)]
    assert len(titles) == len(set(titles)) > 10
    for one in panels(dashboard):
        assert len(one["description"]) > 10, one["title"]
        assert one["fieldConfig"]["defaults"]["unit"], one["title"]
        assert one["targets"], one["title"]
        letters = [target["refId"] for target in one["targets"]]
        assert len(letters) == len(set(letters)), one["title"]


@ALL
def test_no_data_source_is_written_down(name):
    def visit(value):
        if isinstance(value, dict):
            if "datasource" in value and value["datasource"] != "datasource":
                assert value["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            for one in value.values():
                visit(one)
        elif isinstance(value, list):
            for one in value:
                visit(one)

    visit(DASHBOARDS[name])


@ALL
def test_variables_are_defined_once_and_each_is_used(name):
    dashboard = DASHBOARDS[name]
    found = variables(dashboard)
    assert len(found) == len(dashboard["templating"]["list"])
    definitions = [one.get("definition", "") for one in found.values()]
    used = names_in(" ".join([*(expr for _, expr in questions(dashboard)), *definitions])) | {"datasource"}
    assert used - BUILT_IN == set(found)
    # A variable asks only of those before it, or Grafana would go in circles.
    known = {"datasource"}
    for one in dashboard["templating"]["list"]:
        assert names_in(one.get("definition", "")) <= known, one["name"]
        known.add(one["name"])


def test_dashboards_lead_to_each_other_with_what_is_chosen():
    uids = [one["uid"] for one in DASHBOARDS.values()]
    assert len(set(uids)) == len(uids) == 4
    for one in DASHBOARDS.values():
        (link,) = one["links"]
        assert link["includeVars"] and link["keepTime"] and set(link["tags"]) <= set(one["tags"])
    links = re.findall(r'"url": "(/d/[^"]+)"', json.dumps(DASHBOARDS))
    assert links
    for link in links:
        assert link.removeprefix("/d/").split("?")[0] in uids
        target = DASHBOARDS[link.removeprefix("/d/").split("?")[0]]
        passed = set(re.findall(r"\$\{(\w+):queryparam\}|var-(\w+)=", link))
        assert {one or other for one, other in passed} <= set(variables(target))


def exported_names():
    """Names in Prometheus' spelling, from the table of metrics."""
    table = (ROOT / "src/export/names.rs").read_text()
    names = {"up", "ALERTS"}
    for kind, name, unit in re.findall(r'= (\w+)\("([a-z0-9_.]+)", (?:"([^"]*)")?', table):
        spelled = name.replace(".", "_")
        suffix = {"s": "_seconds", "By": "_bytes"}.get(unit, "")
        suffix = {"seconds": "_seconds", "bytes": "_bytes"}.get(kind, suffix)
        spelled += "" if spelled.endswith(suffix) else suffix
        names |= {"counter": {f"{spelled}_total"}}.get(kind, {spelled, *(spelled + end for end in ("_bucket", "_sum", "_count"))})
    return names


def metrics_of(expression):
    expression = expression.replace("${fleet_window}", "1h")
    texts_out = re.sub(r'"[^"]*"', '""', expression)
    selected = re.findall(r"([a-zA-Z_][\w:]*)\s*[{\[]", texts_out)
    return {name for name in selected if name not in {"by", "on", "ignoring", "without"}} | set(
        re.findall(r"\b((?:taffrail|http)[_:][\w:]+)", texts_out)
    )


LABELS_LIKE_METRICS = {"http_route", "http_response_status_code", "http_request_method"}


@pytest.mark.parametrize("name", [*DASHBOARDS, "rules"])
def test_every_metric_asked_for_exists(name):
    known = exported_names() | {rule["record"] for rule in RULES if "record" in rule}
    asked = [(rule.get("alert", rule.get("record")), rule["expr"]) for rule in RULES]
    for where, expression in asked if name == "rules" else questions(DASHBOARDS[name]):
        metrics = metrics_of(expression) - LABELS_LIKE_METRICS
        assert metrics or "vector" in expression, where
        assert metrics <= known, (where, metrics - known)


def test_every_metric_is_on_a_dashboard_or_in_a_rule():
    """Who adds a metric also says where it is looked at, or why it need not be."""
    unseen = {
        "taffrail_export_sent_total",  # shown by sum
        "http_server_request_body_size_bytes", "http_server_response_body_size_bytes",
    }
    asked = " ".join(expr for one in DASHBOARDS.values() for _, expr in questions(one)) + " ".join(rule["expr"] for rule in RULES)
    for name in exported_names() - unseen - {"up", "ALERTS"}:
        if not name.endswith(("_bucket", "_sum", "_count")):
            assert re.search(rf"\b{name}", asked), name


TYPES = """
import type { AnnotationQuery, Dashboard, Panel, RowPanel, VariableModel } from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
%(imports)s
// JSON has texts where the schema has enums of texts.
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Defaults = NonNullable<Plain<Panel>['fieldConfig']>['defaults'];
type Typed<K extends string, O, C> = Omit<Plain<Panel>, 'type' | 'options' | 'fieldConfig'> & {
  type: K; options: Plain<O>;
  fieldConfig: { defaults: Omit<Defaults, 'custom'> & { custom?: Plain<C> }; overrides: unknown[] };
};
type Any = Plain<RowPanel> | %(union)s;
// What the general types leave to the data source, and the words that Grafana itself saves beside a variable.
type Mark = Plain<AnnotationQuery> & {
  expr: string; step: string; titleFormat: string; textFormat: string; tagKeys: string; useValueForTime: boolean;
};
type Variable = Plain<VariableModel> & { definition?: string };
type Ours = Omit<Plain<Dashboard>, 'panels' | 'annotations' | 'templating'>
  & { panels: Any[]; annotations: { list: Mark[] }; templating: { list: Variable[] } };
"""


def test_grafanas_own_types_take_them(tmp_path):
    imports = "\n".join(
        f"import type * as {module} from '@grafana/schema/dist/types/raw/composable/{module}/panelcfg/x/types.gen';"
        for module in PANEL_TYPES.values()
    )
    union = " | ".join(
        f"Typed<'{kind}', Partial<{module}.Options>, {'{}' if kind == 'stat' else f'Partial<{module}.FieldConfig>'}>"
        for kind, module in PANEL_TYPES.items()
    )
    text = TYPES % {"imports": imports, "union": union}
    for number, dashboard in enumerate(DASHBOARDS.values()):
        text += f"export const dashboard{number}: Ours = {json.dumps(dashboard)};\n"
    (tmp_path / "check.ts").write_text(text)
    (tmp_path / "node_modules").symlink_to(NODE)
    options = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "node", "--target", "es2022"]
    command = ["node", NODE / "typescript/bin/tsc", *options, "check.ts"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[:4000] + done.stderr
