"""Each monitor, with its defaults, on a stream: which features of which windows it calls drifting."""

import json
import pathlib
import resource
import subprocess
import tempfile
import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import special, stats

HERE = pathlib.Path(__file__).resolve().parent
LIMIT_SECONDS = 1800


@dataclass
class Flags:
    """By window and feature, in the order of the stream's."""

    alarms: np.ndarray
    # CPU seconds a window, the reference's own work left out where it can be.
    seconds: float
    # The same by another name: `significant` beside `detected`.
    also: np.ndarray | None = None
    # Windows in which features were called drifting together, where the monitor looks at that.
    joint: np.ndarray | None = None


def seconds_of_children():
    """CPU time, so that other work on the machine does not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def store(stream, directory):
    pq.write_table(stream.reference, directory / "reference.parquet")
    pq.write_table(stream.live, directory / "live.parquet")


class Taffrail:
    """The command line on files, as a script would use it."""

    name = "Taffrail"

    def __init__(self, binary, arguments=()):
        self.binary, self.arguments = binary, list(arguments)

    def call(self, *arguments):
        command = [self.binary, *map(str, arguments)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        if done.returncode not in (0, 3):
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def watch(self, stream):
        with tempfile.TemporaryDirectory(prefix="verdicts-") as name:
            directory = pathlib.Path(name)
            store(stream, directory)
            baseline, reference, live = (directory / file for file in ("b.json", "reference.parquet", "live.parquet"))
            self.call("baseline", "build", "--from", reference, "--out", baseline)
            begun = seconds_of_children()
            command = ["drift", "--baseline", baseline, "--from", live, "--window", stream.window]
            printed = self.call(*command, "--format", "json", *self.arguments)
            seconds = seconds_of_children() - begun
        return self.flags(stream, json.loads(printed)["windows"], seconds)

    def flags(self, stream, windows, seconds):
        rows = [window["rows"] for window in windows]
        expected = np.diff(stream.edges).tolist()
        if rows != expected:
            raise RuntimeError(f"windows of {rows} rows instead of {expected}")
        place = {name: number for number, name in enumerate(stream.features)}
        shape = len(windows), len(place)
        detected, significant = np.zeros(shape, bool), np.zeros(shape, bool)
        joint = np.zeros(len(windows), bool)
        for number, window in enumerate(windows):
            joint[number] = bool((window.get("joint") or {}).get("detected"))
            for feature in window["features"]:
                column = place[feature["feature"]]
                detected[number, column] = feature["detected"]
                significant[number, column] = feature["significant"]
        return Flags(detected, seconds / len(windows), significant, joint)


class Apart:
    """A monitor in an environment of its own."""

    def __init__(self, name, monitor, python):
        self.name, self.monitor, self.python = name, monitor, python

    def watch(self, stream):
        with tempfile.TemporaryDirectory(prefix="verdicts-") as name:
            directory = pathlib.Path(name)
            store(stream, directory)
            (directory / "stream.json").write_text(json.dumps({"edges": stream.edges.tolist()}))
            command = [self.python, "-B", HERE / "apart.py", self.monitor, directory]
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_SECONDS)
            if done.returncode:
                raise RuntimeError(f"{self.name}: exit {done.returncode}: {done.stderr[-2000:]}")
            told = json.loads((directory / "alarms.json").read_text())
        alarms = np.array([[name in found for name in stream.features] for found in told["windows"]])
        return Flags(alarms, told["seconds"])


class PopulationStability:
    """PSI over the reference's deciles, or its levels, above the 0.2 of the rule of thumb."""

    name = "PSI > 0.2, 10 bins"
    limit = 0.2
    # Instead of a share of none.
    least = 1e-4

    def watch(self, stream):
        begun = time.process_time()
        columns = [self.alarms(stream.reference[name], stream.live[name], stream.edges) for name in stream.features]
        return Flags(np.stack(columns, axis=1), (time.process_time() - begun) / (len(stream.edges) - 1))

    def alarms(self, reference, live, edges):
        if is_number(live):
            cuts = np.unique(np.quantile(reference.drop_null().to_numpy(), np.arange(1, 10) / 10))
            place = lambda column: np.searchsorted(cuts, column.to_numpy().astype(float), "right")
            known, codes, count = place(reference.drop_null()), place(live), len(cuts) + 1
            codes = np.where(live.is_null().to_numpy(), count, codes)
        else:
            known, codes, count = level_codes(reference, live)
            known = known[known < count]
        expected = np.maximum(np.bincount(known, minlength=count) / max(len(known), 1), self.least)
        found = []
        for start, end in zip(edges, edges[1:]):
            counts = np.bincount(codes[start:end], minlength=count + 1)[:-1]
            shares = np.maximum(counts / max(counts.sum(), 1), self.least)
            found.append(((shares - expected) * np.log(shares / expected)).sum() > self.limit)
        return np.array(found)


def benjamini_hochberg(p_values, rate):
    """Discoveries among the p-values of each row."""
    order = np.argsort(p_values, axis=1)
    ascending = np.take_along_axis(p_values, order, axis=1)
    count = p_values.shape[1]
    below = ascending <= rate * np.arange(1, count + 1) / count
    last = np.where(below.any(axis=1), count - np.argmax(below[:, ::-1], axis=1), 0)
    found = np.zeros_like(below)
    np.put_along_axis(found, order, np.arange(count) < last[:, None], axis=1)
    return found


class KolmogorovSmirnov:
    """What a careful person writes with SciPy: KS for numbers, χ² for levels, both with the share of nulls;
    Benjamini–Hochberg over the features of a window."""

    name = "KS / χ² + nulls, Benjamini–Hochberg 0.01"
    rate = 0.01

    def watch(self, stream):
        begun = time.process_time()
        p_values = np.ones((len(stream.edges) - 1, len(stream.features)))
        for place, name in enumerate(stream.features):
            p_values[:, place] = feature_p_values(stream, name)
        found = benjamini_hochberg(p_values, self.rate)
        return Flags(found, (time.process_time() - begun) / len(found))


def is_number(column):
    return pa.types.is_floating(column.type) or pa.types.is_integer(column.type)


def feature_p_values(stream, name):
    reference, live = stream.reference[name], stream.live[name]
    p_nulls = nulls_p_values(reference, live, stream.edges)
    p_values = numbers(reference, live, stream.edges) if is_number(live) else texts(reference, live, stream.edges)
    return np.minimum(2 * np.minimum(p_values, p_nulls), 1)


def nulls_p_values(reference, live, edges):
    null = np.append(0, np.cumsum(live.is_null().to_numpy()))
    counts, rows = np.diff(null[edges]), np.diff(edges)
    known = reference.null_count
    return np.array([share_p_value(count, n, known, len(reference)) for count, n in zip(counts, rows)])


def share_p_value(count, rows, known, known_rows):
    if count + known == 0:
        return 1.0
    return stats.fisher_exact([[count, rows - count], [known, known_rows - known]])[1]


def numbers(reference, live, edges):
    known = np.sort(reference.drop_null().to_numpy())
    values = live.to_numpy().astype(float)
    p_values = np.ones(len(edges) - 1)
    for window, (start, end) in enumerate(zip(edges, edges[1:])):
        rows = values[start:end]
        rows = np.sort(rows[~np.isnan(rows)])
        if len(rows) and len(known):
            p_values[window] = ks_p_value(known, rows)
    return p_values


def ks_p_value(known, rows):
    """scipy.stats.ks_2samp(…, method="asymp") up to its correction, with the reference sorted once."""
    at = np.concatenate([known, rows])
    share = np.searchsorted(rows, at, "right") / len(rows) - np.searchsorted(known, at, "right") / len(known)
    return special.kolmogorov(np.abs(share).max() * np.sqrt(len(rows) * len(known) / (len(rows) + len(known))))


def level_codes(reference, live):
    """Of each row its level's number, or the count of levels for a null."""
    both = pa.chunked_array([*reference.chunks, *live.chunks]).cast(pa.string()).combine_chunks().dictionary_encode()
    count = len(both.dictionary)
    codes = both.indices.fill_null(count).to_numpy()
    return codes[: len(reference)], codes[len(reference) :], count


def texts(reference, live, edges):
    known, codes, levels = level_codes(reference, live)
    known = np.bincount(known, minlength=levels + 1)[:-1]
    p_values = np.ones(len(edges) - 1)
    for window, (start, end) in enumerate(zip(edges, edges[1:])):
        counts = np.bincount(codes[start:end], minlength=levels + 1)[:-1]
        p_values[window] = chi_squared_p_value(counts, known)
    return p_values


def chi_squared_p_value(counts, known):
    """Levels that are too rare for χ² are taken together."""
    often = (counts + known) * min(counts.sum(), known.sum()) >= 5 * (counts.sum() + known.sum())
    pair = np.array([[*counts[often], counts[~often].sum()], [*known[often], known[~often].sum()]])
    pair = pair[:, pair.sum(axis=0) > 0]
    if pair.shape[1] < 2 or (pair.sum(axis=1) == 0).any():
        return 1.0
    return stats.chi2_contingency(pair, correction=False).pvalue
