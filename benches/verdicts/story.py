"""What Taffrail says of two real data sets, beside figures by which a person can judge it: the weather of
Seattle month by month against two summers, and flights of the USA day by day against two months."""

import argparse
import json
import pathlib
import subprocess
import tempfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import written
from environments import ROOT
from tables import grid

WEATHER = ROOT / "tests/fixtures/weather/seattle-weather.csv"


def judged(binary, reference, live, *arguments):
    """Each window's report; `reference` and `live` have their time in `date`."""
    with tempfile.TemporaryDirectory(prefix="story-") as name:
        directory = pathlib.Path(name)
        pq.write_table(reference, directory / "reference.parquet")
        pq.write_table(live, directory / "live.parquet")
        time = ["--time-column", "date"]
        build = ["baseline", "build", "--from", directory / "reference.parquet", "--out", directory / "b.json"]
        subprocess.run([binary, *build, *time], check=True, capture_output=True)
        drift = ["drift", "--baseline", directory / "b.json", "--from", directory / "live.parquet", "--format", "json"]
        done = subprocess.run([binary, *drift, *time, *arguments], check=False, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)["windows"]


def drifting(window):
    return [feature["feature"] for feature in window["features"] if feature["detected"]]


def between(table, first, last):
    """Rows from the first date up to the last, without it."""
    date = table["date"]
    at = lambda text: pa.scalar(text).cast(pa.timestamp("us"))
    return table.filter(pc.and_(pc.greater_equal(date, at(first)), pc.less(date, at(last))))


def dated(table):
    place = table.column_names.index("date")
    return table.set_column(place, "date", table["date"].cast(pa.timestamp("us")))


def weather_windows(binary):
    """Rows of two summers, rows of the two years that follow, and what is said of their months."""
    table = dated(pyarrow.csv.read_csv(WEATHER))
    summers = pa.concat_tables(between(table, f"{year}-05-01", f"{year}-10-01") for year in (2012, 2013))
    live = between(table, "2014-01-01", "2016-01-01")
    return summers, live, judged(binary, summers, live, "--window", "1mo", "--min-rows", "25")


def weather(binary):
    summers, live, windows = weather_windows(binary)
    rows = []
    for window in windows:
        month = between(live, window["start"][:10], window["end"][:10])
        means = [f"{pc.mean(month[name]).as_py():.1f}" for name in ("temp_max", "temp_min", "precipitation", "wind")]
        rows.append([window["start"][:7], window["verdict"], ", ".join(drifting(window)), *means])
    means = [f"{pc.mean(summers[name]).as_py():.1f}" for name in ("temp_max", "temp_min", "precipitation", "wind")]
    head = ["month", "verdict", "features", "temp_max °C", "temp_min °C", "rain mm", "wind m/s"]
    return grid(head, [["*baseline*", "", "", *means], *rows])


def shares(table, name):
    counted = table.group_by(name).aggregate([(name, "count")])
    return dict(
        zip(counted[name].to_pylist(), (100 * count / len(table) for count in counted[f"{name}_count"].to_pylist()))
    )


def furthest(known, day, name, count=4):
    """The levels whose share moved most, in per cent of rows."""
    before, now = shares(known, name), shares(day, name)
    moved = sorted(before, key=lambda level: -abs(now.get(level, 0.0) - before[level]))[:count]
    return ", ".join(f"{level} {before[level]:.2f} → {now.get(level, 0.0):.2f} %" for level in moved)


def flights(binary, path):
    table = dated(pq.read_table(path))
    known = between(table, "2001-01-01", "2001-03-01")
    live = between(table, "2001-03-01", "2001-07-01")
    windows = judged(binary, known, live, "--window", "1d")
    rows = []
    for window in windows:
        if names := drifting(window):
            day = between(live, window["start"][:10], window["end"][:10])
            named = next((name for name in names if name != "delay"), "origin")
            moved = f"{named}: {furthest(known, day, named)}"
            delay = f"{pc.mean(day['delay']).as_py():.1f}"
            rows.append([window["start"][:10], window["rows"], ", ".join(names), delay, moved])
    head = ["day", "flights", "features", "mean delay, min", "shares of flights that moved most"]
    stable = sum(window["verdict"] == "stable" for window in windows)
    days = [pc.mean(day["delay"]).as_py() for day in by_day(known)]
    baseline = (
        f"{len(known) // 59} flights a day; their mean delay was {min(days):.1f} to {max(days):.1f} minutes by day"
    )
    return (
        f"Baseline: January and February, {baseline}. Of {len(windows)} days {stable} are stable.\n\n{grid(head, rows)}"
    )


def by_day(table):
    days = pc.floor_temporal(table["date"], unit="day")
    for day in pc.unique(days):
        yield table.filter(pc.equal(days, day))


def main():
    parser = argparse.ArgumentParser(prog="benches/verdicts/run --story", description=__doc__)
    parser.add_argument("--taffrail", metavar="PATH", type=pathlib.Path, default=ROOT / "target/release/taffrail")
    parser.add_argument(
        "--flights", metavar="FILE", type=pathlib.Path, help="flights-3m.parquet of vega-datasets 3.2.1"
    )
    parser.add_argument("--readme", action="store_true", help="write it into README.md, too")
    options = parser.parse_args()
    told = f"### Seattle, month by month\n\n{weather(options.taffrail)}"
    if options.flights:
        told += f"\n\n### Flights, day by day\n\n{flights(options.taffrail, options.flights)}"
    print(told)
    if options.readme:
        written.put("story", told)


if __name__ == "__main__":
    main()
