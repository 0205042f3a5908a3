"""Streams whose truth is known: a reference, live rows cut into windows, and which feature of which window
is drawn from something else than the reference."""

import pathlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from kinds import KINDS
from scipy import special
from shifts import SHIFTS

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEATHER = ROOT / "tests/fixtures/weather/seattle-weather.csv"
WINDOWS = 20
ONSET = 8
BEGIN = np.datetime64("2026-01-05T00:00:00", "us")  # a Monday


@dataclass(frozen=True)
class Stream:
    reference: pa.Table
    live: pa.Table
    # As `taffrail drift --window` takes it.
    window: str
    # Of live: where each window begins, and the end of the last.
    edges: np.ndarray
    # By feature: the windows that differ from the reference.
    drifted: dict[str, np.ndarray] = field(default_factory=dict)
    # Windows whose features differ together and none alone.
    joint: np.ndarray | None = None

    @property
    def features(self):
        return [name for name in self.live.column_names if name != "ts"]


@dataclass(frozen=True)
class Plan:
    """A stream that is made when it is needed, from its name and the seed alone."""

    name: str
    # A row of the tables.
    group: str
    rows: int
    make: Callable[[np.random.Generator], Stream]
    # The shift, where there is one.
    shift: str = ""

    def stream(self, seed):
        return self.make(np.random.default_rng([seed, zlib.crc32(self.name.encode())]))


# Scores: what makes rows depend on each other, or on the time.


def independent(rng, rows, features):
    return rng.standard_normal((rows, features))


def runs(share, length, spread=False):
    """Runs of rows of one user, who has his own level of every feature: `share` of the variance."""

    def scores(rng, rows, features):
        if spread:
            lengths = rng.geometric(1 / length, rows)
            users = np.repeat(np.arange(rows), lengths)[:rows]
        else:
            users = np.arange(rows) // length
        own = rng.standard_normal((users[-1] + 1, features))
        return np.sqrt(share) * own[users] + np.sqrt(1 - share) * rng.standard_normal((rows, features))

    return scores


def correlated(share):
    """Groups of five features that have a common part."""

    def scores(rng, rows, features):
        common = np.repeat(rng.standard_normal((rows, features // 5 + 1)), 5, axis=1)[:, :features]
        return np.sqrt(share) * common + np.sqrt(1 - share) * rng.standard_normal((rows, features))

    return scores


def kinds_of(features):
    """Their names begin with the kind, and end with the place."""
    return [(f"{KINDS[place % len(KINDS)].name}_{place:02}", KINDS[place % len(KINDS)]) for place in range(features)]


def table(rng, scores, kinds, alter=None):
    """`alter(name, kind, values, null)` gives what a shift makes of a feature."""
    columns = {}
    probabilities = special.ndtr(scores)
    for place, (name, kind) in enumerate(kinds):
        values = kind.quantile(probabilities[:, place])
        null = rng.random(len(values)) < kind.nulls
        if alter:
            values, null = alter(name, kind, values, null)
        columns[name] = kind.column(values, null)
    return pa.table(columns)


def with_times(rows, times):
    return rows.append_column("ts", pa.array(times, pa.timestamp("us", tz="UTC")))


def even_edges(rows, windows=WINDOWS):
    return np.arange(windows + 1) * rows


def reference_rows(rows):
    return max(10_000, rows)


def stationary(rows, features, scores=independent, reference_scores=None, reference=None):
    def make(rng):
        kinds = kinds_of(features)
        ahead = reference or reference_rows(rows)
        expected = table(rng, (reference_scores or scores)(rng, ahead, features), kinds)
        live = table(rng, scores(rng, rows * WINDOWS, features), kinds)
        return Stream(expected, live, str(rows), even_edges(rows))

    return make


def shifted(rows, shift, scores=independent, features=50, drifting=6):
    """From window `ONSET` on, `drifting` features that the shift makes sense for are altered."""

    def make(rng):
        kinds = kinds_of(features)
        able = [name for name, kind in kinds if shift.needs in kind.takes]
        chosen = set(rng.choice(able, min(drifting, len(able)), replace=False))
        first = rows * ONSET
        strength = shift.course(np.arange(rows * (WINDOWS - ONSET)) // rows)

        def alter(name, kind, values, null):
            if name in chosen:
                values[first:], null[first:] = shift.apply(rng, kind, values[first:], null[first:], strength)
            return values, null

        expected = table(rng, scores(rng, reference_rows(rows), features), kinds)
        live = table(rng, scores(rng, rows * WINDOWS, features), kinds, alter)
        windows = np.arange(WINDOWS) >= ONSET
        return Stream(expected, live, str(rows), even_edges(rows), dict.fromkeys(chosen, windows))

    return make


def uncoupled(rows, features=50):
    """Groups of features lose what they had in common; each alone stays as it was."""

    def make(rng):
        kinds = kinds_of(features)
        bound = correlated(0.7)
        expected = table(rng, bound(rng, reference_rows(rows), features), kinds)
        scores = bound(rng, rows * WINDOWS, features)
        scores[rows * ONSET :, : features // 2] = independent(rng, rows * (WINDOWS - ONSET), features // 2)
        windows = np.arange(WINDOWS) >= ONSET
        return Stream(expected, table(rng, scores, kinds), str(rows), even_edges(rows), joint=windows)

    return make


# In time: days that differ, cycles of a day and a week.


def cyclic_scores(rng, hours, per_hour, features, amplitude, day_spread, weekly):
    """A third of the features follow the hour, a third the day of the week, and all differ by the day."""
    hour = np.repeat(np.arange(*hours), per_hour)
    phase = np.linspace(0, 2 * np.pi, features, endpoint=False)
    daily = np.where(np.arange(features) % 3 == 0, amplitude, 0.0)
    by_week = np.where(np.arange(features) % 3 == 1, weekly, 0.0)
    of_day = day_spread * rng.standard_normal((hours[1] // 24 + 1, features))
    centre = daily * np.sin(2 * np.pi * hour[:, None] / 24 + phase)
    centre = centre + by_week * ((hour[:, None] // 24) % 7 >= 5) + of_day[hour // 24]
    spread = np.sqrt(1 + daily**2 / 2 + day_spread**2)
    return (centre + rng.standard_normal((len(hour), features))) / spread, hour


def times_of(rng, hour):
    """Ascending, anywhere within the hour."""
    within = rng.integers(0, 3_600_000_000, len(hour))
    return np.sort(BEGIN + (hour.astype(np.int64) * 3_600_000_000 + within).astype("timedelta64[us]"))


def in_time(
    window_hours,
    per_hour,
    days,
    windows,
    *,
    amplitude=0.0,
    day_spread=0.0,
    weekly=0.0,
    features=50,
    timed=True,
    shift=None,
):
    """Reference of `days` whole days, then live windows of `window_hours` each."""

    def make(rng):
        kinds = kinds_of(features)
        ahead = days * 24
        spans = (0, ahead), (ahead, ahead + windows * window_hours)
        effects = dict(amplitude=amplitude, day_spread=day_spread, weekly=weekly)
        scores, hour = cyclic_scores(rng, (0, spans[1][1]), per_hour, features, **effects)
        known = hour < ahead
        rows = per_hour * window_hours
        first = rows * (windows * ONSET // WINDOWS)
        able = [name for name, kind in kinds if shift and shift.needs in kind.takes]
        chosen = set(rng.choice(able, min(6, len(able)), replace=False)) if shift else set()
        strength = np.ones(rows * windows - first)

        def alter(name, kind, values, null):
            if name in chosen:
                values[first:], null[first:] = shift.apply(rng, kind, values[first:], null[first:], strength)
            return values, null

        expected = table(rng, scores[known], kinds)
        live = table(rng, scores[~known], kinds, alter)
        if timed:
            expected = with_times(expected, times_of(rng, hour[known]))
            live = with_times(live, times_of(rng, hour[~known]))
        window = (f"{window_hours}h" if window_hours < 24 else f"{window_hours // 24}d") if timed else str(rows)
        drifted = np.arange(windows) >= windows * ONSET // WINDOWS
        return Stream(expected, live, window, even_edges(rows, windows), dict.fromkeys(chosen, drifted))

    return make


# Real data.


def weather():
    return pyarrow.csv.read_csv(WEATHER).drop_columns(["date"])


def shuffled(load, ahead, rows):
    """Real rows in an order that nothing can be read from."""

    def make(rng):
        data = load()
        data = data.take(pa.array(rng.permutation(len(data))[: ahead + rows * WINDOWS]))
        live = data.slice(ahead)
        return Stream(data.slice(0, ahead), live, str(rows), even_edges(rows))

    return make


def flights(path):
    def load():
        data = pq.read_table(path)
        return data.rename_columns(["ts" if name == "date" else name for name in data.column_names])

    return load


def of_days(data, days):
    day = pc.floor_temporal(data["ts"], unit="day").cast(pa.timestamp("us")).to_numpy()
    return data.filter(pa.array(np.isin(day, days.astype("datetime64[us]"))))


def flight_days(load, reference, live, *, share=1.0, timed=True, rows=None):
    """Days of flights against other days: all differ, and none is news."""

    def make(rng):
        data = load()
        if share < 1:
            data = data.filter(pa.array(rng.random(len(data)) < share))
        expected, live_rows = of_days(data, reference), of_days(data, live)
        if rows:
            edges = even_edges(rows, len(live_rows) // rows)
            live_rows = live_rows.slice(0, edges[-1])
        else:
            day = live_rows["ts"].to_numpy().astype("datetime64[D]")
            edges = np.append(np.searchsorted(day, np.unique(day)), len(day))
        if not timed:
            expected, live_rows = expected.drop_columns(["ts"]), live_rows.drop_columns(["ts"])
        return Stream(expected, live_rows, str(rows) if rows else "1d", edges)

    return make


def shuffled_flights(load, ahead, rows):
    def without_time():
        return load().drop_columns(["ts"])

    return shuffled(without_time, ahead, rows)


def days(first, count, step=1):
    return np.datetime64(first) + np.arange(count) * step * np.timedelta64(1, "D")


def stationary_plans():
    sizes = [
        (20, 50),
        (100, 50),
        (200, 50),
        (500, 50),
        (1000, 50),
        (5000, 50),
        (20_000, 50),
        (200, 500),
        (1000, 200),
        (1000, 500),
    ]
    for rows, features in sizes:
        yield Plan(f"iid-{rows}x{features}", "stationary", rows, stationary(rows, features))
    for reference in (500, 2000, 100_000):
        name = f"iid-1000x50-reference-{reference}"
        yield Plan(name, "stationary", 1000, stationary(1000, 50, reference=reference))
    yield Plan("correlated-1000x50", "stationary", 1000, stationary(1000, 50, correlated(0.7)))
    yield Plan("correlated-200x50", "stationary", 200, stationary(200, 50, correlated(0.7)))
    yield Plan("weather-shuffled-50", "stationary", 50, shuffled(weather, 461, 50))


def clustered_plans():
    for rows in (200, 1000, 5000):
        yield Plan(f"runs-of-10-{rows}", "clustered", rows, stationary(rows, 50, runs(0.6, 10)))
    yield Plan("runs-of-10-own-0.3", "clustered", 1000, stationary(1000, 50, runs(0.3, 10)))
    yield Plan("runs-of-10-own-0.95", "clustered", 1000, stationary(1000, 50, runs(0.95, 10)))
    yield Plan("runs-of-any-length", "clustered", 1000, stationary(1000, 50, runs(0.6, 10, spread=True)))
    yield Plan("runs-of-50", "clustered", 1000, stationary(1000, 50, runs(0.6, 50)))
    for rows in (200, 1000, 5000):
        make = stationary(rows, 50, runs(0.6, 10), reference_scores=independent)
        yield Plan(f"reference-shuffled-{rows}", "clustered", rows, make)
    for name in ("location 0.5", "missing +10 %", "category"):
        make = shifted(1000, SHIFTS[name], runs(0.6, 10))
        yield Plan(f"runs-of-10-{name}", "clustered, drifting", 1000, make, name)


def timed_plans():
    daily = dict(amplitude=1.0)
    yield Plan("hourly-100", "season", 100, in_time(1, 100, 7, 48, **daily))
    yield Plan("hourly-500", "season", 500, in_time(1, 500, 5, 48, **daily))
    yield Plan("hourly-100-of-3-days", "season", 100, in_time(1, 100, 3, 48, **daily))
    yield Plan("hourly-mild", "season", 200, in_time(1, 200, 7, 48, amplitude=0.3))
    yield Plan("hourly-days-differ", "season", 200, in_time(1, 200, 14, 48, amplitude=1.0, day_spread=0.1))
    yield Plan("weekly", "season", 1200, in_time(24, 50, 28, 20, weekly=0.8))
    drifting = in_time(1, 200, 7, 48, **daily, shift=SHIFTS["location 0.5"])
    yield Plan("hourly-location 0.5", "season, drifting", 200, drifting, "location 0.5")
    for spread in (0.05, 0.2, 0.5):
        make = in_time(24, 50, 30, 20, day_spread=spread)
        yield Plan(f"days-differ-{spread}", "natural", 1200, make)
    make = in_time(24, 50, 30, 20, day_spread=0.2, timed=False)
    yield Plan("days-differ-0.2-untimed", "natural", 1200, make)
    make = in_time(24, 50, 30, 20, day_spread=0.1, shift=SHIFTS["location 0.5"])
    yield Plan("days-differ-location 0.5", "natural, drifting", 1200, make, "location 0.5")


def flight_plans(path):
    load = flights(path)
    even, odd = days("2001-01-01", 90, 2), days("2001-01-02", 40, 2)
    yield Plan("flights-shuffled-1000", "stationary", 1000, shuffled_flights(load, 10_000, 1000))
    yield Plan("flights-shuffled-5000", "stationary", 5000, shuffled_flights(load, 50_000, 5000))
    yield Plan("flights-odd-days", "natural", 16_500, flight_days(load, even, odd))
    yield Plan("flights-odd-days-tenth", "natural", 1650, flight_days(load, even, odd, share=0.1))
    yield Plan("flights-odd-days-untimed", "natural", 16_500, flight_days(load, even, odd, timed=False, rows=16_500))
    january, february = days("2001-01-01", 31), days("2001-02-01", 20)
    yield Plan("flights-february", "natural", 16_500, flight_days(load, january, february))
    yield Plan("flights-february-tenth", "natural", 1650, flight_days(load, january, february, share=0.1))


def shift_plans():
    for name, shift in SHIFTS.items():
        for rows in (200, 1000, 5000):
            yield Plan(f"{name}-{rows}", "drifting", rows, shifted(rows, shift), name)
    for rows in (200, 1000, 5000):
        yield Plan(f"uncoupled-{rows}", "joint", rows, uncoupled(rows), "correlation only")


def plans(flights_path=None):
    yield from stationary_plans()
    yield from clustered_plans()
    yield from timed_plans()
    if flights_path:
        yield from flight_plans(flights_path)
    yield from shift_plans()
