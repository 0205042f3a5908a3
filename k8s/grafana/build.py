"""Writes the dashboards beside this file from `source/`: python3 k8s/grafana/build.py. Nothing but Python is needed.

The JSON is checked in, and a test holds it equal to what this makes."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "source"))


def dashboards():
    """Text of each dashboard by the path that it belongs at."""
    import feature
    import fleet
    import model
    import operations

    made = [one.DASHBOARD for one in (operations, model, feature, fleet)]
    return {HERE / f"{one['uid']}.json": json.dumps(one, indent=2, ensure_ascii=False) + "\n" for one in made}


if __name__ == "__main__":
    for path, text in dashboards().items():
        path.write_text(text)
        print(path.name)
