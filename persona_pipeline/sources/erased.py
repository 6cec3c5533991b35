"""Leave out lines of input of people who were erased (Spark): they go nowhere, not even to the rejected ones.

The files are the shop's and still hold their lines. Who was erased is known by a digest of the user id alone. Of a line in which
no user id can be read every word is tried, so that a broken line of theirs is no loophole.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame

_WORDS = re.compile(r"[^\s\"'\\,;:|{}\[\]()]+")


def user_of(line: str, key: str) -> str | None:
    """The user id that a JSON object names under `key`, as the text it has there, trimmed; None where none can be read."""
    try:
        found = json.loads(line, parse_int=str, parse_float=str)
    except ValueError:
        return None
    value = found.get(key) if isinstance(found, dict) else None
    return value.strip() or None if isinstance(value, str) else None


def is_erased(user: str | None, line: str, digest: Callable[[str], str], erased: frozenset[str]) -> bool:
    """Whether a line is by somebody erased: by its user id where one was read, else by any of its words."""
    if user is not None:
        return digest(user) in erased
    return any(digest(word) in erased for word in set(_WORDS.findall(line)))


def without_erased(
    rows: DataFrame, digest: Callable[[str], str], erased: frozenset[str], key: str | None = None
) -> DataFrame:
    """Rows with a column `line` less those of people erased; the user id is column user_id, or is read from JSON under `key`."""
    if not erased:
        return rows
    return rows.mapInArrow(partial(_kept, digest, erased, key), rows.schema)


def _kept(
    digest: Callable[[str], str], erased: frozenset[str], key: str | None, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        lines = batch.column("line").to_pylist()
        users = [user_of(line, key) for line in lines] if key else batch.column("user_id").to_pylist()
        stay = [not is_erased(user, line, digest, erased) for user, line in zip(users, lines, strict=True)]
        yield batch.filter(pa.array(stay, pa.bool_()))
