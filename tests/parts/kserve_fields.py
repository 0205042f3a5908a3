"""Reads an object of KServe from standard input, as JSON, and fails on a field that KServe's own models do not
have. The models alone are loaded: the rest of the package wants a model server's dependencies."""

import json
import re
import sys
import types

(packages,) = [path for path in sys.path if path.endswith("site-packages")]
package = types.ModuleType("kserve")
package.__path__ = [packages + "/kserve"]
sys.modules["kserve"] = package

from kserve import models  # noqa: E402


def check(kind, value, path):
    inner = re.fullmatch(r"list\[(.+)\]|dict\(str, (.+)\)", kind)
    if inner:
        items = enumerate(value) if inner[1] else value.items()
        for key, one in items:
            check(inner[1] or inner[2], one, f"{path}.{key}")
        return
    model = getattr(models, kind, None)
    if model is None:
        # A kind of Kubernetes' own, or a plain value.
        plain = {"str": str, "int": int, "bool": bool}.get(kind)
        if plain and not isinstance(value, plain):
            sys.exit(f"{path}: {value!r} is no {kind}")
        return
    fields = {name: model.openapi_types[attribute] for attribute, name in model.attribute_map.items()}
    for name, one in value.items():
        if name not in fields:
            sys.exit(f"{path}.{name}: {kind} has no such field")
        check(fields[name], one, f"{path}.{name}")


document = json.load(sys.stdin)
version = document["apiVersion"].split("/")[1].capitalize()
check(version + document["kind"], document, document["kind"])
