"""Puts what was printed between two marks of README.md."""

import pathlib

README = pathlib.Path(__file__).resolve().parent / "README.md"


def put(mark, text):
    before, _, rest = README.read_text().partition(f"<!-- {mark} -->\n")
    _, _, after = rest.partition(f"<!-- /{mark} -->")
    README.write_text(f"{before}<!-- {mark} -->\n{text}\n<!-- /{mark} -->{after}")
