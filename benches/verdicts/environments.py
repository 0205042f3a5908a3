"""Environments of Python, one for what must not meet: monitors pin other versions of the same packages, and
not all of them install beside pandas 3."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENVS = pathlib.Path(os.environ.get("TAFFRAIL_VENVS", ROOT / ".venv"))

# The newest of each that work together under Python 3.11. NannyML needs statsmodels and does not say so.
PACKAGES = {
    "verdicts": ["numpy==2.2.6", "pandas==2.3.3", "scipy==1.15.3", "pyarrow==21.0.0"],
    "verdicts-evidently": [
        "evidently==0.7.23", "numpy==2.4.6", "pandas==2.3.3", "scipy==1.17.1", "scikit-learn==1.9.1",
        "pyarrow==26.0.1", "pydantic==2.14.4", "litestar==2.25.0", "plotly==5.24.1",
    ],
    "verdicts-nannyml": [
        "nannyml==0.13.1", "numpy==2.4.6", "pandas==2.3.3", "scipy==1.17.1", "scikit-learn==1.9.1",
        "pyarrow==26.0.1", "pydantic==2.14.4", "lightgbm==4.5.0", "statsmodels==0.15.0", "plotly==5.24.1",
    ],
    "verdicts-whylogs": ["whylogs[viz]==1.6.4", "numpy==1.26.4", "pandas==2.2.3", "pyarrow==21.0.0", "ipython==8.37.0"],
}  # fmt: skip


def python_of(name):
    """The interpreter of an environment, which is made if it is not there or its packages have changed."""
    directory, packages = VENVS / name, PACKAGES[name]
    interpreter, listed = directory / "bin/python", directory / ".packages"
    if not listed.exists() or listed.read_text().split() != packages:
        print(f"installing in {directory}: {' '.join(packages)}", file=sys.stderr)
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(pip, check=True, timeout=900)
        listed.write_text(" ".join(packages) + "\n")
    return interpreter
