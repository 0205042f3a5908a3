#!/usr/bin/env python3
"""Fits the demo's classifier and writes weights.json beside this file.

In: seattle-weather.csv (NOAA, public domain). Out: means and scales of four features, and one row of
coefficients a weather class, of a multinomial logistic regression over the standardised features.
Fitted on the summers (May to September) of 2012 and 2013, every second day of them (even days of the
year), and on nothing else: that it knows no snow is the point of the demo, and the days between are
held out, so that the summer it meets is one it never saw. Run again, it writes the same file.

    pip install numpy==2.3.4 scikit-learn==1.7.2 && python3 src/demo/fit.py
"""

import csv
import datetime
import json
import pathlib

import numpy as np
from sklearn.linear_model import LogisticRegression

HERE = pathlib.Path(__file__).parent
FEATURES = ["precipitation", "temp_max", "temp_min", "wind"]
SUMMER = range(5, 10)
DECIMALS = 6


def days():
    with open(HERE / "seattle-weather.csv", newline="") as file:
        yield from csv.DictReader(file)


def split(rows):
    values = np.array([[float(row[feature]) for feature in FEATURES] for row in rows])
    return values, np.array([row["weather"] for row in rows])


def is_summer(row):
    return int(row["date"][5:7]) in SUMMER


def is_even(row):
    return datetime.date.fromisoformat(row["date"]).timetuple().tm_yday % 2 == 0


def main():
    rows = list(days())
    summers = [row for row in rows if is_summer(row) and row["date"][:4] in ("2012", "2013")]
    fitted = [row for row in summers if is_even(row)]
    held_out = [row for row in summers if not is_even(row)]
    values, classes = split(fitted)
    means, scales = values.mean(axis=0), values.std(axis=0)
    model = LogisticRegression(C=10.0, max_iter=10_000, tol=1e-10)
    model.fit((values - means) / scales, classes)

    weights = {
        "features": FEATURES,
        "means": np.round(means, DECIMALS).tolist(),
        "scales": np.round(scales, DECIMALS).tolist(),
        "classes": [
            {
                "name": str(name),
                "intercept": round(float(intercept), DECIMALS),
                "coefficients": np.round(coefficients, DECIMALS).tolist(),
            }
            for name, intercept, coefficients in zip(
                model.classes_, model.intercept_, model.coef_, strict=True
            )
        ],
    }
    (HERE / "weights.json").write_text(json.dumps(weights, indent=2) + "\n")

    for name, part in (("fitted on", fitted), ("held out", held_out)):
        print(f"{name} {len(part)} days, accuracy there {accuracy(model, part, means, scales):.3f}")
    for year in range(2012, 2016):
        for name, months in (("summer", SUMMER), ("autumn", (10, 11)), ("winter", (12, 1, 2)), ("spring", (3, 4))):
            part = [r for r in rows if r["date"][:4] == str(year) and int(r["date"][5:7]) in months]
            print(f"{year} {name}: {len(part)} days, accuracy {accuracy(model, part, means, scales):.3f}")


def accuracy(model, rows, means, scales):
    values, classes = split(rows)
    return model.score((values - means) / scales, classes)


if __name__ == "__main__":
    main()
