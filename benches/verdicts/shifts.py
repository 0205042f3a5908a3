"""What may happen to a feature. A shift alters values before they are rounded, or positions of levels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def at_once(windows):
    return np.ones(len(windows))


def over_ten_windows(windows):
    return np.minimum((windows + 1) / 10, 1.0)


@dataclass(frozen=True)
class Shift:
    # Kinds that list this word can take it.
    needs: str
    # (generator, kind, values, null, strength of each row in [0, 1]) → (values, null)
    apply: Callable
    # Windows since the onset → strength.
    course: Callable[[np.ndarray], np.ndarray] = at_once


def location(sigmas):
    return lambda rng, kind, values, null, strength: (values + sigmas * kind.scale * strength, null)


def scale(factor):
    def apply(rng, kind, values, null, strength):
        return kind.median + factor * (values - kind.median), null

    return apply


def tail(share):
    """Some rows come from a narrow component far above."""

    def apply(rng, kind, values, null, strength):
        far = kind.median + (8 + rng.standard_normal(len(values))) * kind.scale
        return np.where(rng.random(len(values)) < share, far, values), null

    return apply


def point(share):
    """Some rows carry one value in the midst of the others, as a default that was filled in does."""

    def apply(rng, kind, values, null, strength):
        value = kind.quantile(np.array([rng.uniform(0.2, 0.8)]))[0]
        return np.where(rng.random(len(values)) < share, value, values), null

    return apply


def category(share):
    """A part of the rows of the first level are of the second instead."""

    def apply(rng, kind, values, null, strength):
        first = np.mean(values == 0)
        moved = (values == 0) & (rng.random(len(values)) < share / max(first, share))
        return np.where(moved, 1, values), null

    return apply


def level(share):
    def apply(rng, kind, values, null, strength):
        return np.where(rng.random(len(values)) < share, len(kind.levels) - 1, values), null

    return apply


def missing(share):
    def apply(rng, kind, values, null, strength):
        return values, null | (rng.random(len(values)) < share)

    return apply


def unit(factor, offset=0.0):
    return lambda rng, kind, values, null, strength: (values * factor + offset, null)


SHIFTS = {
    "location 0.1": Shift("location", location(0.1)),
    "location 0.25": Shift("location", location(0.25)),
    "location 0.5": Shift("location", location(0.5)),
    "scale 1.2": Shift("scale", scale(1.2)),
    "scale 1.5": Shift("scale", scale(1.5)),
    "tail 2 %": Shift("tail", tail(0.02)),
    "category": Shift("category", category(0.08)),
    "new level 2 %": Shift("level", level(0.02)),
    "new level 0.5 %": Shift("level", level(0.005)),
    "point mass 3 %": Shift("point", point(0.03)),
    "point mass 1 %": Shift("point", point(0.01)),
    "missing +3 %": Shift("missing", missing(0.03)),
    "missing +10 %": Shift("missing", missing(0.1)),
    "unit ×1000": Shift("unit", unit(1000)),
    "unit ×2.54": Shift("unit", unit(2.54)),
    "unit °C→°F": Shift("unit", unit(1.8, 32)),
    "gradual 0.5": Shift("location", location(0.5), over_ten_windows),
}
