"""What a window of 50 features and 1,000 rows costs."""

import pathlib
import subprocess
import tempfile

import monitors
import numpy as np
import streams

WINDOWS = 60
ROWS = 1000
TURNS = 3


def measured(binary):
    """CPU seconds a window: of all that `taffrail drift` does, and of what many windows take beyond one that
    holds all rows, which is to close and judge them. The least of a few turns, one after the other."""
    kinds = streams.kinds_of(50)
    generator = np.random.default_rng(1)
    rows = [
        streams.table(generator, streams.independent(generator, count, 50), kinds) for count in (10_000, ROWS * WINDOWS)
    ]
    stream = streams.Stream(*rows, str(ROWS), streams.even_edges(ROWS, WINDOWS))
    with tempfile.TemporaryDirectory(prefix="verdicts-") as name:
        directory = pathlib.Path(name)
        monitors.store(stream, directory)
        baseline = directory / "b.json"
        subprocess.run(
            [binary, "baseline", "build", "--from", directory / "reference.parquet", "--out", baseline],
            check=True,
            capture_output=True,
        )
        command = [
            binary,
            "drift",
            "--baseline",
            baseline,
            "--from",
            directory / "live.parquet",
            "--format",
            "json",
            "--window",
        ]
        many, one = (min(timed([*command, str(rows)]) for _ in range(TURNS)) for rows in (ROWS, ROWS * WINDOWS))
    return {"all_seconds_a_window": many / WINDOWS, "judging_seconds_a_window": max(many - one, 0) / (WINDOWS - 1)}


def timed(command):
    begun = monitors.seconds_of_children()
    done = subprocess.run(command, check=False, capture_output=True, timeout=300)
    if done.returncode not in (0, 3):
        raise RuntimeError(done.stderr.decode())
    return monitors.seconds_of_children() - begun
