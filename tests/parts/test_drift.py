"""`taffrail drift` as a script uses it: its exit code, and its JSON."""

import json
import random
import subprocess

import pytest
from conftest import BINARY, gaussian_rows, write_csv


def drift(baseline, rows, *arguments):
    command = [BINARY, "drift", "--baseline", baseline, "--from", rows, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def rows_of(tmp_path, *shifts):
    """A file of 500 rows for each shift."""
    numbers = random.Random(5)
    columns = {"a": [], "b": []}
    for shift in shifts:
        for name, values in gaussian_rows(500, shift, numbers).items():
            columns[name] += values
    return write_csv(tmp_path / "rows.csv", columns)


@pytest.mark.parametrize(
    ("shifts", "code", "verdicts"),
    [
        ([0.0, 0.0], 0, ["stable", "stable"]),
        ([0.0, 2.0], 3, ["stable", "drifting"]),
    ],
)
def test_the_exit_code_says_whether_it_drifts(baseline, tmp_path, shifts, code, verdicts):
    done = drift(baseline, rows_of(tmp_path, *shifts), "--window", "500", "--format", "json")
    assert done.returncode == code, done.stderr
    report = json.loads(done.stdout)
    assert report["baseline"]["rows"] == 1000
    assert [window["verdict"] for window in report["windows"]] == verdicts
    assert [window["rows"] for window in report["windows"]] == [500, 500]
    last = {one["feature"]: one["detected"] for one in report["windows"][-1]["features"]}
    assert last == {"a": code == 3, "b": False}


def test_too_few_rows_are_no_verdict_and_no_alarm(baseline, tmp_path):
    done = drift(baseline, rows_of(tmp_path, 2.0), "--window", "20", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert {window["verdict"] for window in json.loads(done.stdout)["windows"]} == {"insufficient_data"}


def test_a_wrong_file_is_neither(baseline, tmp_path):
    absent = drift(baseline, tmp_path / "absent.csv")
    assert absent.returncode == 2
    assert "absent.csv" in absent.stderr
    not_a_baseline = drift(rows_of(tmp_path, 0.0), rows_of(tmp_path, 0.0))
    assert not_a_baseline.returncode == 2
    assert not_a_baseline.stderr
