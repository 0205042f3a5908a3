"""The parts a dashboard is made of: queries, panels, variables, and the grid they are laid on."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"
GRID = 24


def query(expr, legend="", instant=False, form="time_series"):
    return {"expr": expr, "legendFormat": legend or "__auto", "instant": instant, "range": not instant, "format": form}


def table_query(expr):
    return query(expr, instant=True, form="table")


def steps(*pairs):
    """(value, colour) from which on the colour holds; the first value is None."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in pairs]}


NO_LIMITS = steps((None, GREEN))


def panel(kind, title, description, unit, targets, size, **more):
    """`size` is (columns of 24, rows). More: `limits`, `mappings`, `options`, `custom`, `overrides`, `links`, `decimals`,
    `minimum`, `maximum`, `transform`."""
    defaults = {"unit": unit, "thresholds": more.get("limits", NO_LIMITS), "mappings": more.get("mappings", [])}
    defaults["custom"] = more.get("custom", {})
    for key, name in (("minimum", "min"), ("maximum", "max"), ("decimals", "decimals"), ("links", "links")):
        if key in more:
            defaults[name] = more[key]
    targets = [targets] if isinstance(targets, dict) else targets
    letters = "ABCDEFGHIJKLMNOP"
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": [{"refId": letters[i], "datasource": DATASOURCE, **one} for i, one in enumerate(targets)],
        "fieldConfig": {"defaults": defaults, "overrides": more.get("overrides", [])},
        "options": more.get("options", {}),
        "transformations": more.get("transform", []),
        "gridPos": {"w": size[0], "h": size[1], "x": 0, "y": 0},
    }


def stat(title, description, unit, expr, legend="", size=(4, 4), **more):
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value" if "limits" in more or "mappings" in more else "none",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }
    return panel("stat", title, description, unit, query(expr, legend), size, options=options, **more)


def lines(title, description, unit, targets, size=(12, 8), stacked=False, log=False, **more):
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
        "thresholdsStyle": {"mode": "line" if "limits" in more else "off"},
    }
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, description, unit, targets, size, custom=custom, options=options, **more)


def heat(title, description, expr, unit="s", size=(12, 8)):
    """Of cumulative buckets, a series each `le`."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "steps": 64, "reverse": False,
            "fill": "dark-orange",
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    return panel("heatmap", title, description, unit, query(expr, "{{le}}", form="heatmap"), size, options=options)


def states(title, description, targets, mappings, size=(24, 6), unit="none", **more):
    options = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 70, "lineWidth": 0}
    return panel(
        "state-timeline", title, description, unit, targets, size, mappings=mappings, options=options, custom=custom, **more
    )


def bars(title, description, unit, targets, size=(12, 8), **more):
    options = {
        "barRadius": 0,
        "barWidth": 0.9,
        "fullHighlight": False,
        "groupWidth": 0.7,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "orientation": "auto",
        "showValue": "auto",
        "stacking": "none",
        "tooltip": {"mode": "multi", "sort": "none"},
        "xTickLabelRotation": -30,
        "xTickLabelSpacing": 0,
    }
    custom = {"fillOpacity": 80, "lineWidth": 1}
    return panel("barchart", title, description, unit, targets, size, options=options, custom=custom, **more)


def table(title, description, targets, columns, size=(24, 10), unit="none", hide=(), sort=None, **more):
    """`columns` gives, in order, a field's shown name, unit and limits; `hide` names fields that are left out.
    The values of several queries stand in one row where their labels are the same."""
    names = {field: shown for field, (shown, _, _) in columns.items()}
    order = {field: index for index, field in enumerate(columns)}
    overrides = [override(shown, field_unit, limits) for shown, field_unit, limits in columns.values() if field_unit]
    overrides += more.pop("overrides", [])
    organised = {"excludeByName": dict.fromkeys(("Time", *hide), True), "indexByName": order, "renameByName": names}
    transform = [{"id": "merge", "options": {}}, {"id": "organize", "options": organised}]
    options = {"showHeader": True, "cellHeight": "sm"}
    options["sortBy"] = [{"displayName": sort, "desc": True}] if sort else []
    custom = {"align": "auto", "filterable": True, "inspect": False, "cellOptions": {"type": "auto"}}
    more = {"transform": transform, "options": options, "custom": custom, "overrides": overrides, **more}
    return panel("table", title, description, unit, targets, size, **more)


def override(name, unit, limits=None, links=None):
    properties = [{"id": "unit", "value": unit}]
    if limits:
        properties.append({"id": "thresholds", "value": limits})
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    if links:
        properties.append({"id": "links", "value": links})
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def named_values(values):
    """Texts and colours for numbers: {1: ("drifting", RED)}."""
    options = {str(value): {"text": text, "color": colour, "index": i} for i, (value, (text, colour)) in enumerate(values.items())}
    return [{"type": "value", "options": options}]


VERDICTS = named_values({0: ("stable", GREEN), 1: ("insufficient data", GREY), 2: ("drifting", RED)})
COURSES = named_values({-1: ("fallen", YELLOW), 0: ("usual", GREEN), 1: ("risen", RED)})
YES_NO = named_values({0: ("no", GREEN), 1: ("yes", RED)})
HEALTH = named_values({0: ("failing", RED), 1: ("healthy", GREEN)})


def datasource_variable():
    return {
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "regex": "",
        "hide": 0, "multi": False, "includeAll": False, "options": [], "skipUrlSync": False, "current": {"text": "", "value": ""},
    }


def variable(name, label, of, description, several=True):
    """A label's values, from a query; `several` may be chosen at once, or all."""
    found = {
        "name": name, "label": label, "description": description, "type": "query", "datasource": DATASOURCE, "definition": of,
        "query": {"qryType": 1, "query": of, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2, "regex": "", "sort": 1, "hide": 0, "multi": several, "includeAll": several, "options": [],
        "skipUrlSync": False, "current": {"text": ["All"], "value": ["$__all"]} if several else {"text": "", "value": ""},
    }
    # Where nothing has the label, as `namespace` outside Kubernetes, "all" still matches.
    return {**found, "allValue": ".*"} if several else found


def choice(name, label, values, chosen, description):
    options = [{"text": value, "value": value, "selected": value == chosen} for value in values]
    return {
        "name": name, "label": label, "description": description, "type": "custom", "query": ",".join(values), "hide": 0,
        "multi": False, "includeAll": False, "options": options, "skipUrlSync": False,
        "current": {"text": chosen, "value": chosen, "selected": True},
    }


def annotation(name, colour, expr, title, text, shown=True):
    return {
        "name": name, "enable": shown, "hide": False, "iconColor": colour, "datasource": DATASOURCE, "expr": expr,
        "step": "30s", "titleFormat": title, "textFormat": text, "tagKeys": "", "useValueForTime": False,
    }


def laid_out(rows):
    """Panels with ids and places: each row's heading, then its panels from left to right."""
    panels, top = [], 0
    for title, members in rows:
        panels.append({"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": top, "w": GRID, "h": 1}})
        top, left, tallest = top + 1, 0, 0
        for one in members:
            place = one["gridPos"]
            if left + place["w"] > GRID:
                top, left, tallest = top + tallest, 0, 0
            panels.append({**one, "gridPos": {**place, "x": left, "y": top}})
            left, tallest = left + place["w"], max(tallest, place["h"])
        top += tallest
    return [{"id": number, **one} for number, one in enumerate(panels, 1)]


def dashboard(uid, title, description, variables, annotations, rows, span="now-6h"):
    links = [{
        "title": "Taffrail", "type": "dashboards", "tags": ["taffrail"], "asDropdown": False, "icon": "external link",
        "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "The other dashboards, with what is chosen here",
        "url": "",
    }]
    return {
        "uid": uid, "title": title, "description": description, "tags": ["taffrail"], "schemaVersion": 42, "version": 1,
        "editable": True, "graphTooltip": 1, "refresh": "30s", "timezone": "browser", "weekStart": "", "fiscalYearStartMonth": 0,
        "time": {"from": span, "to": "now"}, "timepicker": {}, "links": links,
        "templating": {"list": [datasource_variable(), *variables]},
        "annotations": {"list": annotations},
        "panels": laid_out(rows),
    }
