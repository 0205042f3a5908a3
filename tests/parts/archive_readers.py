"""Reads an archive with DuckDB and with pandas, and checks that both find the same in it.

    python archive_readers.py DIRECTORY [--exchanges N]

Needs duckdb, pandas and pyarrow. Exits 1, with the claim that failed, unless every claim holds.
"""

import argparse
import json
import pathlib
import sys

import duckdb
import pandas as pd

END = {"complete", "aborted", "cancelled"}
NULLABLE = {
    "upstream_ns", "first_byte_ns", "dialect", "status", "fault", "trace_id", "span_id",
    "request_content_type", "request_content_encoding", "request_headers", "request_body",
    "response_content_type", "response_content_encoding", "response_headers", "response_body",
    "inputs", "outputs", "counted_at",
}  # fmt: skip
TYPES = {
    "id": "VARCHAR",
    "started_at": "TIMESTAMP WITH TIME ZONE",
    "counted_at": "TIMESTAMP WITH TIME ZONE",
    "total_ns": "BIGINT",
    "status": "INTEGER",
    "sample_rate": "DOUBLE",
    "request_truncated": "BOOLEAN",
    "request_body": "BLOB",
    "inputs": "VARCHAR",
}


def claim(holds, text):
    if not holds:
        sys.exit(f"archive: {text}")


def files_of(directory):
    here = sorted(directory.glob("exchanges-*.parquet"))
    return here or sorted((directory / "archive").glob("exchanges-*.parquet"))


def check_columns(frame):
    for name in frame.columns:
        claim(name in NULLABLE or frame[name].notna().all(), f"`{name}` is never null")
    claim(str(frame.started_at.dtype).endswith("UTC]"), "pandas sees `started_at` in UTC")
    claim((frame.total_ns >= 0).all(), "durations are not negative")
    claim(frame.status.dropna().between(100, 599).all(), "statuses are statuses")
    claim(frame.sample_rate.between(0, 1, inclusive="right").all(), "sample rates are in (0, 1]")


def check_side(frame, side):
    claim(set(frame[f"{side}_end"]) <= END, f"`{side}_end` is one of {sorted(END)}")
    for row in frame.itertuples():
        body, total = getattr(row, f"{side}_body"), getattr(row, f"{side}_bytes")
        kept = 0 if body is None else len(body)
        whole = not getattr(row, f"{side}_truncated")
        claim(kept == total if whole else kept < total, f"{row.id}: {side} body and size agree")
        headers = getattr(row, f"{side}_headers")
        claim(not isinstance(headers, str) or isinstance(json.loads(headers), dict),
              f"{row.id}: {side} headers are an object")  # fmt: skip


def check_rows(frame, side):
    """How many rows were decoded; their text holds as many, and every row the same columns."""
    count = 0
    for row in frame.itertuples():
        text, stated = getattr(row, f"{side}s"), getattr(row, f"{side}_rows")
        rows = json.loads(text) if isinstance(text, str) else []
        claim(len(rows) == stated or len(text) > 1_000_000, f"{row.id}: {side} rows are all there")
        claim(len({tuple(row) for row in rows}) <= 1, f"{row.id}: {side} rows have the same columns")
        count += stated
    return count


def check_duckdb(paths, frame):
    duck = duckdb.connect()
    duck.execute(f"create view exchanges as select * from read_parquet({paths!r})")
    described = {name: kind for name, kind, *_ in duck.execute("describe exchanges").fetchall()}
    claim(list(described) == list(frame.columns), "DuckDB and pandas see the same columns")
    for name, kind in TYPES.items():
        claim(described[name] == kind, f"DuckDB sees `{name}` as {kind}, not {described[name]}")
    sums = "count(*), sum(total_ns), sum(request_bytes), sum(octet_length(request_body)), sum(input_rows)"
    found = duck.execute(f"select {sums}, epoch_us(min(started_at)), count(status) from exchanges").fetchone()
    expected = (
        len(frame), frame.total_ns.sum(), frame.request_bytes.sum(),
        frame.request_body.dropna().map(len).sum(), frame.input_rows.sum(),
        frame.started_at.min().value // 1000, frame.status.notna().sum(),
    )  # fmt: skip
    found = tuple(value or 0 for value in found)
    claim(found == tuple(int(value) for value in expected), f"DuckDB {found}, pandas {expected}")
    rows = duck.execute("select count(*) from (select unnest(from_json(inputs, '[\"json\"]')) from exchanges)")
    claim(rows.fetchone()[0] <= found[4], "DuckDB unnests `inputs` row by row")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--exchanges", type=int, help="how many there must be")
    arguments = parser.parse_args()
    paths = [str(path) for path in files_of(arguments.directory)]
    claim(paths, f"no files in {arguments.directory}")
    frame = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    expected = len(frame) if arguments.exchanges is None else arguments.exchanges
    claim(len(frame) == expected, f"{len(frame)} exchanges instead of {expected}")
    claim(len(frame) > 0, "no exchanges")
    check_columns(frame)
    check_side(frame, "request")
    check_side(frame, "response")
    inputs, outputs = check_rows(frame, "input"), check_rows(frame, "output")
    check_duckdb(paths, frame)
    print(f"{len(frame)} exchanges in {len(paths)} files, {inputs} input and {outputs} output rows, "
          f"{frame.started_at.min()} to {frame.started_at.max()}")  # fmt: skip
    print(f"DuckDB {duckdb.__version__} and pandas {pd.__version__} agree")


if __name__ == "__main__":
    main()
