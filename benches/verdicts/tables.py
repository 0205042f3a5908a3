"""Figures as tables for people, and as JSON for programs."""

from dataclasses import asdict, dataclass

from measures import Counts

OURS = "Taffrail"
# As they are compared: the column's head, the figure.
COLUMNS = {
    "false alarms a feature-window, nothing drifts": "false_alarms_per_feature_window",
    "windows with one or more": "windows_with_false_alarms",
    "quiet windows alarmed before a drift": "quiet_windows_alarmed_before_a_drift",
    "power": "power",
    "never found": "never_found",
    "delay, windows": "delay_windows",
    "CPU s a window": "seconds_a_window",
}
# Of rows that are independent, 1,000 a window or more.
TARGETS = {
    "false_alarms_per_feature_window": ("≤", 0.001),
    "windows_with_false_alarms": ("≤", 0.02),
    "quiet_windows_alarmed_before_a_drift": ("≤", 0.03),
    "power": ("≥", 0.92),
    "never_found": ("≤", 0.0),
    "delay_windows": ("≤", 0.5),
}
JUDGING_SECONDS = 0.01
CLUSTERED_WINDOWS = 0.3
PLAIN = ("stationary", "drifting")


@dataclass
class Result:
    monitor: str
    stream: str
    group: str
    rows: int
    shift: str
    seed: int
    counts: Counts
    # Of `significant` beside `detected`.
    significant: Counts | None
    kinds: dict


def of(results, **wanted):
    return [one for one in results if all(getattr(one, name) == value for name, value in wanted.items())]


def total(results, part="counts"):
    return sum((getattr(one, part) for one in results if getattr(one, part)), Counts())


def monitors_in(results):
    return list(dict.fromkeys(one.monitor for one in results))


def shown(name, value):
    if value is None:
        return ""
    if name == "seconds_a_window":
        return f"{value:.4f}" if value else ""
    if name == "delay_windows":
        return f"{value:.2f}"
    return f"{100 * value:.2f} %" if 0 < value < 0.01 else f"{100 * value:.1f} %"


def grid(head, rows):
    widths = [max(len(str(row[place])) for row in [head, *rows]) for place in range(len(head))]

    def line(cells):
        return "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(cells, widths)) + " |"

    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def figures_row(name, counts):
    figures = counts.figures()
    return [name, *(shown(figure, figures[figure]) for figure in COLUMNS.values())]


def compared(results, streams):
    """All monitors, on the streams that all have seen."""
    plain = [one for one in results if one.stream in streams and one.group in PLAIN]
    rows = [figures_row(monitor, total(of(plain, monitor=monitor))) for monitor in monitors_in(plain)]
    return grid(["monitor", *COLUMNS], rows) if len(rows) > 1 else ""


def by_size(results):
    """Rows that are independent, all shifts together."""
    rows = []
    plain = [one for one in results if one.group in PLAIN]
    counted = {"1,000 and more": lambda size: size >= 1000, "under 1,000": lambda size: size < 1000}
    for name, fits in counted.items():
        sized = [one for one in plain if fits(one.rows)]
        for monitor in [name for name in monitors_in(sized) if of(results, monitor=name, group="drifting")]:
            mine = of(sized, monitor=monitor)
            rows.append([name, *figures_row(monitor, total(mine))])
            if any(one.significant for one in mine):
                rows.append([name, *figures_row(f"{monitor}, `significant`", total(mine, "significant"))])
    targets = [f"{sign} {shown(name, value)}" for name, (sign, value) in TARGETS.items()]
    return (
        grid(["rows a window", "monitor", *COLUMNS], [*rows, ["1,000 and more", "**target**", *targets, ""]])
        if rows
        else ""
    )


def cell(counts):
    """What matters of one stream, in a few characters."""
    figures = counts.figures()
    if counts.drifted:
        before = shown("", figures["quiet_windows_alarmed_before_a_drift"])
        found, never = shown("", figures["power"]), shown("", figures["never_found"])
        return f"found {found}, before {before}, never {never}, delay {figures['delay_windows']:.1f}"
    alarmed = (
        f"{shown('', figures['windows_with_false_alarms'])} ({shown('', figures['false_alarms_per_feature_window'])})"
    )
    joint = figures["joint_windows_found"]
    return alarmed if joint is None else f"{alarmed}, together {shown('', joint)}"


def by_stream(results):
    others = [one for one in results if one.group != "drifting"]
    names = monitors_in(others)
    rows = []
    for group, stream in dict.fromkeys((one.group, one.stream) for one in others):
        cells = [of(others, stream=stream, monitor=name) for name in names]
        rows.append([group, stream, *(cell(total(found)) if found else "" for found in cells)])
    return grid(["group", "stream", *names], rows) if rows else ""


def by_shift(results):
    drifting = of(results, group="drifting")
    names = monitors_in(drifting)
    rows = []
    for shift, size in dict.fromkeys((one.shift, one.rows) for one in drifting):
        cells = []
        for name in names:
            found = of(drifting, shift=shift, rows=size, monitor=name)
            figures = total(found).figures()
            cells.append(
                f"{shown('', figures['power'])} / {shown('', figures['never_found'])} / {figures['delay_windows']:.1f}"
                if found
                else ""
            )
        rows.append([shift, size, *cells])
    return grid(["shift", "rows", *names], rows) if rows else ""


def checks(results, seconds):
    """(claim, figure, sign, limit) of each target that these streams tell something about."""
    ours = of(results, monitor=OURS)
    figures = total([one for one in ours if one.group in PLAIN and one.rows >= 1000]).figures()
    for name, (sign, limit) in TARGETS.items():
        if figures[name] is not None:
            yield name, figures[name], sign, limit
    figure = total(of(ours, group="clustered")).figures()["windows_with_false_alarms"]
    if figure is not None:
        yield "windows alarmed, rows of one user together", figure, "≤", CLUSTERED_WINDOWS
    if seconds:
        yield "seconds_a_window", seconds["all_seconds_a_window"], "≤", JUDGING_SECONDS


def holds(figure, sign, limit):
    return figure <= limit if sign == "≤" else figure >= limit


def targets(results, seconds):
    rows = [
        [
            "holds" if holds(figure, sign, limit) else "FAILS",
            claim,
            shown(claim, figure),
            f"{sign} {shown(claim, limit)}",
        ]
        for claim, figure, sign, limit in checks(results, seconds)
    ]
    return grid(["", "target", "figure", "wanted"], rows) if rows else ""


def details(results):
    lines = []
    for one in results:
        lines.append(f"{one.stream}, seed {one.seed}, {one.monitor}: {cell(one.counts)}")
        for name, values in one.kinds.items():
            if values:
                ordered = sorted(values.items(), key=lambda item: -item[1])
                lines.append(
                    f"    {name.replace('_', ' ')}: " + ", ".join(f"{kind} {value}" for kind, value in ordered)
                )
    return "\n".join(lines)


def costs(seconds):
    if not seconds:
        return ""
    whole, judging = (1000 * seconds[f"{part}_seconds_a_window"] for part in ("all", "judging"))
    return (
        f"A window of 50 features and 1,000 rows takes {whole:.2f} ms of CPU, reading the file included; "
        f"of this, {judging:.2f} ms to close and judge it."
    )


def text(results, streams, seconds=None, detail=False, level="##"):
    parts = [
        ("All monitors, on the same streams", compared(results, streams)),
        ("Independent rows, by size of the window", by_size(results)),
        ("By shift: power / never found / delay in windows", by_shift(results)),
        ("By stream: windows alarmed (feature-windows), or what was found", by_stream(results)),
        ("Cost", costs(seconds)),
        ("Targets", targets(results, seconds)),
        ("Each stream", details(results) if detail else ""),
    ]
    return "\n\n".join(f"{level} {head}\n\n{body}" for head, body in parts if body)


def machine(results, streams, seconds=None):
    plain = [one for one in results if one.group in PLAIN]
    return {
        "targets": [
            {"target": claim, "figure": figure, "sign": sign, "limit": limit, "holds": holds(figure, sign, limit)}
            for claim, figure, sign, limit in checks(results, seconds)
        ],
        "monitors": {name: total(of(plain, monitor=name)).figures() for name in monitors_in(plain)},
        "compared": {
            name: total([one for one in of(plain, monitor=name) if one.stream in streams]).figures()
            for name in monitors_in(plain)
        },
        "cost": seconds,
        "streams": [{**asdict(one), "figures": one.counts.figures(), "counts": asdict(one.counts)} for one in results],
    }
