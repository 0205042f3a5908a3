"""DuckDB and pandas read what was archived, while knowing nothing of Taffrail."""

import duckdb
import pandas
from conftest import ask, check_archive, infer_body

EXCHANGES = 50


def test_duckdb_and_pandas_read_every_exchange(upstream, sidecar):
    through = sidecar(upstream.url)
    bodies = {f"id-{number}": infer_body(a=[number, 0.5], b=[1.0, 2.0]) for number in range(EXCHANGES)}
    answers = {request_id: ask(through, body, request_id).body for request_id, body in bodies.items()}
    through.drain()

    files = sorted(str(path) for path in through.data.rglob("*.parquet"))
    assert files, f"no Parquet file under {through.data}"
    frame = pandas.concat([pandas.read_parquet(file) for file in files], ignore_index=True)
    assert len(frame) == EXCHANGES
    check_archive(through.data, EXCHANGES)

    ids = column_holding(frame, "id-7")
    request = column_holding(frame, bodies["id-7"])
    response = column_holding(frame, answers["id-7"])
    rows = (
        duckdb.connect().execute(f'select "{ids}", "{request}", "{response}" from read_parquet(?)', [files]).fetchall()
    )
    assert {row[0]: (as_bytes(row[1]), as_bytes(row[2])) for row in rows} == {
        request_id: (body, answers[request_id]) for request_id, body in bodies.items()
    }


def test_archive_off_writes_nothing(upstream, sidecar):
    through = sidecar(upstream.url, "--archive", "off")
    assert ask(through, infer_body(a=[1.0])).status == 200
    through.drain()
    assert not list(through.data.rglob("*.parquet"))


def column_holding(frame, value):
    """The name of the column in which `value` stands, as text or as bytes."""
    wanted = as_bytes(value)
    for name in frame.columns:
        if any(isinstance(cell, str | bytes) and as_bytes(cell) == wanted for cell in frame[name]):
            return name
    raise AssertionError(f"{value!r} stands in none of {list(frame.columns)}")


def as_bytes(value):
    return value.encode() if isinstance(value, str) else bytes(value)
