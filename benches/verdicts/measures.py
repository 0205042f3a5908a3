"""From alarms to the figures of the table."""

from dataclasses import asdict, dataclass, fields

import numpy as np


@dataclass
class Counts:
    """What is added up over streams."""

    quiet_features: int = 0
    false_alarms: int = 0
    quiet_windows: int = 0
    alarmed_windows: int = 0
    # Before the onset of a shift, in the streams that have one.
    early_windows: int = 0
    early_alarmed: int = 0
    # Of features in windows, then of features.
    drifted: int = 0
    found: int = 0
    drifting_features: int = 0
    never_found: int = 0
    delay: float = 0.0
    # Features that do not drift, beside those that do.
    beside: int = 0
    beside_alarms: int = 0
    joint_windows: int = 0
    joint_found: int = 0
    windows: int = 0
    seconds: float = 0.0

    def __add__(self, other):
        mine, theirs = asdict(self), asdict(other)
        return Counts(**{each.name: mine[each.name] + theirs[each.name] for each in fields(self)})

    def __radd__(self, other):
        return self if other == 0 else self + other

    def figures(self):
        def ratio(part, whole):
            return part / whole if whole else None

        return {
            "false_alarms_per_feature_window": ratio(self.false_alarms, self.quiet_features),
            "windows_with_false_alarms": ratio(self.alarmed_windows, self.quiet_windows),
            "quiet_windows_alarmed_before_a_drift": ratio(self.early_alarmed, self.early_windows),
            "power": ratio(self.found, self.drifted),
            "never_found": ratio(self.never_found, self.drifting_features),
            "delay_windows": ratio(self.delay, self.drifting_features),
            "false_alarms_beside_a_drift": ratio(self.beside_alarms, self.beside),
            "joint_windows_found": ratio(self.joint_found, self.joint_windows),
            "seconds_a_window": ratio(self.seconds, self.windows),
        }


def truth(stream):
    drifted = np.zeros((len(stream.edges) - 1, len(stream.features)), bool)
    for name, windows in stream.drifted.items():
        drifted[:, stream.features.index(name)] = windows
    return drifted


def count(stream, alarms, seconds=0.0, joint=None):
    drifted = truth(stream)
    joint = np.zeros(len(alarms), bool) if joint is None else joint
    alarmed = alarms.any(axis=1) | joint
    counts = Counts(windows=len(alarms), seconds=seconds * len(alarms))
    if drifted.any():
        return counts + of_drift(drifted, alarms, alarmed)
    quiet = np.ones(len(alarms), bool) if stream.joint is None else ~stream.joint
    return counts + Counts(
        quiet_windows=int(quiet.sum()),
        alarmed_windows=int(alarmed[quiet].sum()),
        quiet_features=int(quiet.sum()) * alarms.shape[1],
        false_alarms=int(alarms[quiet].sum()),
        joint_windows=int((~quiet).sum()),
        # A monitor that does not look at features together may still have noticed.
        joint_found=int(alarmed[~quiet].sum()),
    )


def of_drift(drifted, alarms, alarmed):
    begun = int(np.argmax(drifted.any(axis=1)))
    still = ~drifted.any(axis=0)
    drifting = alarms[begun:, ~still]
    ever = drifting.any(axis=0)
    # One that is never found is as late as the stream is long.
    first = np.where(ever, drifting.argmax(axis=0), len(drifting))
    return Counts(
        early_windows=begun,
        early_alarmed=int(alarmed[:begun].sum()),
        drifted=int(drifted.sum()),
        found=int((alarms & drifted).sum()),
        drifting_features=drifting.shape[1],
        never_found=int((~ever).sum()),
        delay=float(first.sum()),
        beside=int((len(alarms) - begun) * still.sum()),
        beside_alarms=int(alarms[begun:, still].sum()),
    )


def by_kind(stream, alarms):
    """By kind of feature: false alarms of feature-windows, and drifting features with the share found."""
    drifted = truth(stream)
    false, missed = {}, {}
    for place, name in enumerate(stream.features):
        head, _, tail = name.rpartition("_")
        kind = head if tail.isdigit() else name
        alarmed = int((alarms[:, place] & ~drifted[:, place]).sum())
        if alarmed:
            false[kind] = false.get(kind, 0) + alarmed
        if drifted[:, place].any():
            missed[name] = round(float(alarms[drifted[:, place], place].mean()), 2)
    return {"false_alarms": false, "found": missed}
