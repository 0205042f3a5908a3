"""One of the other monitors, with its defaults, in its own environment: `apart.py MONITOR DIRECTORY`.

The directory holds reference.parquet, live.parquet and stream.json; alarms.json is written there. Columns of
texts and booleans are declared as categories, as a person would who reads the manual."""

import json
import os
import pathlib
import sys
import time
import warnings

# None of them may call home from a test.
os.environ.update({"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"})
warnings.filterwarnings("ignore")

import pandas as pd


def is_number(column):
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def split(frame):
    numbers = [name for name in frame if is_number(frame[name])]
    return numbers, [name for name in frame if name not in numbers]


def windows_of(live, edges):
    return [live.iloc[start:end] for start, end in zip(edges, edges[1:])]


def evidently(reference, live, edges):
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers, categories = split(reference)
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    expected = Dataset.from_pandas(reference, data_definition=definition)
    for window in windows_of(live, edges):
        current = Dataset.from_pandas(window.reset_index(drop=True), data_definition=definition)
        found = set()
        for metric in Report([DataDriftPreset()]).run(current, expected).dict()["metrics"]:
            config = metric["config"]
            if "method" in config:
                value, limit = float(metric["value"]), config["threshold"]
                drifts = value < limit if "p_value" in config["method"] else value >= limit
                found |= {config["column"]} if drifts else set()
        yield found


def nannyml(reference, live, edges):
    import nannyml

    rows, names = int(edges[1] - edges[0]), list(reference)
    calculators = [
        nannyml.UnivariateDriftCalculator(column_names=names, chunk_size=rows),
        nannyml.MissingValuesCalculator(column_names=names, chunk_size=rows),
    ]
    if categories := [name for name in split(reference)[1] if not pd.api.types.is_bool_dtype(reference[name])]:
        calculators.append(nannyml.UnseenValuesCalculator(column_names=categories, chunk_size=rows))
    found = [set() for _ in edges[1:]]
    for calculator in calculators:
        alerts = calculator.fit(reference).calculate(live).filter(period="analysis").to_df()
        for column in alerts.columns:
            if column[-1] == "alert":
                for window in alerts.index[alerts[column].astype(bool)]:
                    found[window].add(column[0])
    return found


def whylogs(reference, live, edges):
    import whylogs
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    expected = whylogs.log(reference).view()
    for window in windows_of(live, edges):
        scores = calculate_drift_scores(whylogs.log(window).view(), expected, with_thresholds=True)
        yield {name for name, score in scores.items() if score and score["drift_category"] == "DRIFT"}


def main(monitor, directory):
    directory = pathlib.Path(directory)
    edges = json.loads((directory / "stream.json").read_text())["edges"]
    reference, live = (pd.read_parquet(directory / f"{name}.parquet") for name in ("reference", "live"))
    watch = {"evidently": evidently, "nannyml": nannyml, "whylogs": whylogs}[monitor]
    begun = time.process_time()
    found = [sorted(names) for names in watch(reference, live, edges)]
    seconds = time.process_time() - begun
    (directory / "alarms.json").write_text(json.dumps({"windows": found, "seconds": seconds / len(found)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
