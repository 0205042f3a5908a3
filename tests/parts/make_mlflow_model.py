"""Run in the MLflow environment: saves a small scikit-learn model with a signature to a folder."""

import sys

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

random = np.random.default_rng(0)
inputs = pd.DataFrame(
    {
        "age": random.integers(18, 90, 500).astype("int64"),
        "income": random.lognormal(10, 1, 500),
        "ratio": random.random(500),
    }
)
truth = ((inputs.age > 45) & (inputs.income > 20_000)).astype(int)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, truth)
mlflow.sklearn.save_model(model, sys.argv[1], signature=infer_signature(inputs, model.predict(inputs)))
