"""Read lists of review ids that people hand in: one a line, or Parquet with a column review_id."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import PARQUET, head, opened
from persona_pipeline.sources.holdout_file import COLUMN
from persona_pipeline.sources.records import Split, records
from persona_pipeline.sources.shapes import recognise
from persona_pipeline.sources.text import decode
from persona_pipeline.sources.values import NotScalar, characters, identity

_LOOKED_AT = 100
"""Ids at the beginning of a list that show whether it is one: an id may hold a comma or a brace, not many do."""


def read_ids(path: Path) -> pa.Table:
    """Read ids in their canonical form, each once, as a table of the column review_id.

    Raises SourceError naming the file where it holds something else.
    """
    if not path.is_file():
        raise SourceError(
            f"reviews.withdrawn: {path}: no such file; expected review ids, one a line, or Parquet with a column {COLUMN}"
        )
    listed = head(path).startswith(PARQUET)
    try:
        texts = (characters(value) for value in (_of_parquet(path) if listed else _of_lines(path)))
        ids = list(dict.fromkeys(identity(text) for text in texts if text is not None))
    except NotScalar as shape:
        raise SourceError(f"reviews.withdrawn: {path}: {COLUMN} is {shape} where one value was expected") from shape
    odd = [name for name in ids[:_LOOKED_AT] if "," in name or "{" in name]
    if odd and not listed:
        raise SourceError(
            f"reviews.withdrawn: {path}: expected one review id a line and nothing else, found {odd[0][:60]!r}"
        )
    return pa.table({COLUMN: pa.array(ids, pa.string())})


def _of_parquet(path: Path) -> Iterator[Any]:
    shape = recognise(path)
    if shape is None or COLUMN not in shape.columns:
        found = ", ".join(shape.columns) if shape else "none"
        raise SourceError(f"reviews.withdrawn: {path} needs a column {COLUMN}; its columns: {found}")
    for record in records(Split(path, shape)):
        if isinstance(record.fields, dict):
            yield record.fields[COLUMN]


def _of_lines(path: Path) -> Iterator[str]:
    with opened(path) as stream:
        for line in stream:
            text = decode(line)[0].strip().strip("\ufeff")
            if text != COLUMN:
                yield text
