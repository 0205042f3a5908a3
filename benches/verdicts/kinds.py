"""Features of all kinds. Each is a quantile function, so that one Gaussian score a row and feature decides
its value: rows of one user, features that are correlated and days that differ are then made by correlated
scores, and every kind, levels included, follows."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from scipy import special


def same(values):
    return values


@dataclass(frozen=True)
class Kind:
    name: str
    # Probabilities in (0, 1) → values before rounding, or positions of levels.
    quantile: Callable[[np.ndarray], np.ndarray]
    finish: Callable[[np.ndarray], np.ndarray] = same
    nulls: float = 0.0
    # Of texts; None for numbers.
    levels: tuple[str, ...] | None = None
    boolean: bool = False
    # Shifts of these names make sense for it.
    takes: frozenset[str] = field(default_factory=frozenset)

    @property
    def scale(self):
        """Half the width of the middle 68 %: σ of a normal one, and finite without moments."""
        low, high = self.quantile(np.array([0.1587, 0.8413]))
        return float(high - low) / 2 or 1.0

    @property
    def median(self):
        return float(self.quantile(np.array([0.5]))[0])

    def column(self, values, null):
        """The column as a client sends it; `values` are those before rounding, or positions of levels."""
        if self.boolean:
            return pa.array(values > 0, mask=null)
        if self.levels is None:
            return pa.array(self.finish(values).astype(float), mask=null)
        names = pa.array(self.levels)
        return names.take(pa.array(values.astype(np.int64), mask=null))


def among(shares):
    """The quantile function of positions with these shares."""
    ends = np.cumsum(np.asarray(shares, float) / np.sum(shares))[:-1]
    return lambda u: np.searchsorted(ends, u, side="right").astype(float)


def zipf(levels, exponent=1.0):
    return 1.0 / np.arange(1, levels + 1) ** exponent


def bimodal(u):
    """Two normals, three parts and two, whose means are five σ apart."""
    grid = np.linspace(-5, 10, 4001)
    below = 0.6 * special.ndtr(grid) + 0.4 * special.ndtr(grid - 5)
    return np.interp(u, below, grid)


def zero_inflated(u):
    return np.where(u < 0.7, 0.0, -np.log(np.clip(1 - (u - 0.7) / 0.3, 1e-12, 1)) * 40)


def heaped(values):
    """Ages: whole years, and every second person rounds to five."""
    years = np.clip(np.round(values), 18, 95)
    return np.where(np.mod(np.abs(values * 1000).astype(np.int64), 2) == 0, np.round(years / 5) * 5, years)


def level_names(prefix, count):
    # One more than are drawn: the level that is new after a shift.
    return tuple(f"{prefix}-{place}" for place in range(count)) + ("never seen before",)


SMOOTH = frozenset({"location", "scale", "tail", "point", "missing", "unit"})
HEAVY = frozenset({"location", "scale", "point", "missing", "unit"})
ROUGH = frozenset({"location", "missing", "unit"})
LEVELS = frozenset({"category", "level", "missing"})

KINDS = [
    Kind("normal", special.ndtri, takes=SMOOTH),
    Kind("normal_positive", lambda u: 20 + 8 * special.ndtri(u), takes=SMOOTH),
    Kind("lognormal", lambda u: np.exp(special.ndtri(u)), takes=HEAVY),
    Kind("t2", lambda u: (2 * u - 1) / np.sqrt(2 * u * (1 - u)), takes=HEAVY),
    Kind("cauchy", lambda u: np.tan(np.pi * (u - 0.5)), takes=HEAVY),
    Kind("zero_inflated", zero_inflated, takes=frozenset({"missing", "unit"})),
    Kind("count", lambda u: np.exp(1.5 + 0.7 * special.ndtri(u)), np.floor, takes=ROUGH),
    Kind("near_constant", among([0.995, 0.003, 0.002]), takes=frozenset({"missing"})),
    Kind("constant", lambda u: np.full_like(u, 7.0)),
    Kind("rounded", lambda u: 15 + 3 * special.ndtri(u), lambda v: np.round(v, 1), takes=SMOOTH),
    Kind("heaped", lambda u: 45 + 12 * special.ndtri(u), heaped, takes=ROUGH),
    Kind("price", lambda u: np.exp(3 + 0.8 * special.ndtri(u)), lambda v: np.floor(v) + 0.99, takes=ROUGH),
    Kind("uniform", lambda u: u * 100, takes=SMOOTH),
    Kind("bimodal", bimodal, takes=SMOOTH),
    Kind("code", among([5, 3, 1, 0.5, 0.05]), takes=frozenset({"missing"})),
    Kind("boolean", among([0.9, 0.1]), boolean=True, takes=frozenset({"missing"})),
    Kind("few_levels", among([0.4, 0.3, 0.2, 0.1]), levels=level_names("plan", 4), takes=LEVELS),
    Kind("some_levels", among(zipf(20)), levels=level_names("shop", 20), takes=LEVELS),
    Kind("many_levels", among(zipf(1000)), levels=level_names("item", 1000), takes=LEVELS),
    Kind("flat_levels", among(np.ones(200)), levels=level_names("seller", 200), takes=frozenset({"level", "missing"})),
    Kind("rare_levels", among(zipf(1000, 1.6)), levels=level_names("error", 1000), takes=LEVELS),
    Kind("normal_nulls", special.ndtri, nulls=0.3, takes=SMOOTH - {"missing"}),
    Kind("lognormal_nulls", lambda u: np.exp(3 + 0.5 * special.ndtri(u)), nulls=0.05, takes=HEAVY),
    Kind(
        "levels_nulls",
        among([0.5, 0.3, 0.15, 0.05]),
        nulls=0.15,
        levels=level_names("kind", 4),
        takes=LEVELS - {"missing"},
    ),
    Kind("huge", lambda u: 1.7e9 + 3e7 * u, np.floor, takes=frozenset({"location", "missing"})),
    Kind("tiny", lambda u: 1e-7 * np.exp(0.3 * special.ndtri(u)), takes=SMOOTH),
]
