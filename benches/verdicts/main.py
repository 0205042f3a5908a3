"""Runs monitors on the streams and prints how they did; README.md says what each figure means."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import cost
import measures
import monitors
import streams
import tables
import written
from environments import python_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
# By the name of each: how it is shown. Those of the second table are slow, and see the streams in COMPARED.
FAST = {"taffrail": tables.OURS, "ks": monitors.KolmogorovSmirnov.name, "psi": monitors.PopulationStability.name}
APART = {"evidently": "Evidently 0.7", "nannyml": "NannyML 0.13 + missing, unseen", "whylogs": "whylogs 1.6"}
# Half a minute: every kind of stream once, of a thousand rows or fewer where there is a choice.
QUICK = {
    "iid-20x50", "iid-200x50", "iid-1000x50", "iid-200x500", "correlated-1000x50", "weather-shuffled-50",
    "runs-of-10-1000", "reference-shuffled-1000", "hourly-100", "days-differ-0.2", "weekly",
    "flights-odd-days-tenth", "runs-of-10-location 0.5", "hourly-location 0.5", "uncoupled-1000",
}  # fmt: skip
COMPARED = {
    "iid-100x50", "iid-200x50", "iid-1000x50", "iid-5000x50", "iid-1000x50-reference-2000", "weather-shuffled-50",
    "location 0.1-1000", "location 0.25-1000", "location 0.5-1000", "location 0.25-200", "scale 1.2-1000",
    "tail 2 %-1000", "category-1000", "new level 2 %-1000", "point mass 3 %-1000", "missing +3 %-1000",
    "unit ×2.54-1000", "gradual 0.5-1000", "runs-of-10-1000",
}  # fmt: skip


def arguments():
    parser = argparse.ArgumentParser(prog="benches/verdicts/run", description=__doc__)
    much = parser.add_mutually_exclusive_group()
    much.add_argument(
        "--quick", action="store_true", help="half a minute: fewer streams, no other monitor (the default)"
    )
    much.add_argument("--compared", action="store_true", help="all monitors, on the streams that all of them see")
    much.add_argument("--full", action="store_true", help="every stream; the slow monitors on those of --compared")
    parser.add_argument(
        "--taffrail", metavar="PATH", type=pathlib.Path, help="default: a release build of this repository"
    )
    parser.add_argument(
        "--flights", metavar="FILE", type=pathlib.Path, help="flights-3m.parquet of vega-datasets 3.2.1"
    )
    parser.add_argument(
        "--only",
        metavar="TEXT",
        action="append",
        help="the stream or group of this name, or all streams whose name has it; may be given again",
    )
    parser.add_argument("--monitors", metavar="NAMES", help=f"with commas, of {','.join([*FAST, *APART])}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1, help="each stream so many times, by seeds that follow")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--detail", action="store_true", help="a line a stream: which kinds alarmed, what was found")
    parser.add_argument("--out", metavar="FILE", type=pathlib.Path, help="all figures as JSON")
    parser.add_argument("--readme", action="store_true", help="write the tables into README.md, too")
    parser.add_argument(
        "--drift", metavar="ARGUMENT", action="append", default=[], help="for `taffrail drift`: --drift=--min-rows=20"
    )
    options = parser.parse_args()
    default = [*FAST, *APART] if options.full or options.compared else list(FAST)
    options.names = options.monitors.split(",") if options.monitors else default
    if unknown := set(options.names) - {*FAST, *APART}:
        parser.error(f"--monitors: {', '.join(sorted(unknown))}: not one of {', '.join([*FAST, *APART])}")
    for path in (options.taffrail, options.flights):
        if path and not path.is_file():
            parser.error(f"{path} is not a file")
    return options


def built():
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/taffrail"


def wanted(plan, options, names):
    if options.only:
        return any(text in ((plan.name, plan.group) if text in names else plan.name) for text in options.only)
    if options.compared:
        return plan.name in COMPARED
    quick = plan.name in QUICK or (plan.group == "drifting" and plan.rows == 1000)
    return options.full or quick


def monitors_of(plan, options):
    """All of them on streams that are compared or were asked for by name."""
    slow = plan.name in COMPARED or bool(options.only)
    return [name for name in options.names if name in FAST or slow]


def watcher(name, options):
    match name:
        case "taffrail":
            return monitors.Taffrail(options.taffrail, options.drift)
        case "ks":
            return monitors.KolmogorovSmirnov()
        case "psi":
            return monitors.PopulationStability()
    return monitors.Apart(APART[name], name, python_of(f"verdicts-{name}"))


def watch(task):
    plan_name, seed, names, options = task
    plan = next(plan for plan in streams.plans(options.flights) if plan.name == plan_name)
    stream = plan.stream(seed)
    return [result(plan, stream, seed, watcher(name, options)) for name in names]


def result(plan, stream, seed, monitor):
    flags = monitor.watch(stream)
    return tables.Result(
        monitor=monitor.name,
        stream=plan.name,
        group=plan.group,
        rows=plan.rows,
        shift=plan.shift,
        seed=seed,
        counts=measures.count(stream, flags.alarms, flags.seconds, flags.joint),
        significant=None if flags.also is None else measures.count(stream, flags.also, joint=flags.joint),
        kinds=measures.by_kind(stream, flags.alarms),
    )


def tasks_of(options):
    every = list(streams.plans(options.flights))
    names = {name for plan in every for name in (plan.name, plan.group)}
    plans = [plan for plan in every if wanted(plan, options, names)]
    tasks = [
        (plan.name, options.seed + turn, monitors_of(plan, options), options)
        for plan in plans
        for turn in range(options.repeat)
    ]
    # Those that take minutes first, so that no process ends with one of them alone.
    return sorted(tasks, key=lambda task: -len(task[2]))


def run(tasks, jobs):
    begun, results = time.monotonic(), []
    with ProcessPoolExecutor(jobs) as pool:
        for done, found in enumerate(pool.map(watch, tasks), 1):
            results += found
            if sys.stderr.isatty() or done == len(tasks):
                print(f"\r{done} of {len(tasks)} streams, {time.monotonic() - begun:.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)
    order = {plan: place for place, plan in enumerate(dict.fromkeys(plan.name for plan in streams.plans("any")))}
    return sorted(results, key=lambda one: (order[one.stream], one.seed))


def main():
    options = arguments()
    if "taffrail" in options.names and not options.taffrail:
        options.taffrail = built()
    if not options.flights:
        print("without --flights there is no stream of real flights", file=sys.stderr)
    tasks = tasks_of(options)
    if not tasks:
        sys.exit("no stream has such a name")
    for name in APART:
        if any(name in task[2] for task in tasks):
            python_of(f"verdicts-{name}")
    results = run(tasks, options.jobs)
    seconds = cost.measured(options.taffrail) if "taffrail" in options.names and not options.only else None
    print(tables.text(results, COMPARED, seconds, options.detail))
    if options.readme:
        written.put("seen", tables.text(results, COMPARED, seconds, level="###"))
    if options.out:
        options.out.write_text(json.dumps(tables.machine(results, COMPARED, seconds), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
