"""Leave out records of input of people who were erased: they go nowhere, not even to the rejected ones.

The files are the shop's and still hold them. Who was erased is known by a digest of the user's id alone. Of a record that cannot
be read every word of its beginning is tried, and once anybody was erased none of it is kept: a broken line is no loophole.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_WORDS = (re.compile(r"[^\s\"'\\,;:|{}\[\]()]+"), re.compile(r"[^\s\"',]+"))
"""An id may have a sign that elsewhere stands between fields: `auth0|5f7c`."""


@dataclass(frozen=True, slots=True)
class Erased:
    """Tell people who were erased, by the digests of their ids; it may be sent to another process.

    Attributes:
        digest: of a user's id, as in the tables.
        digests: of everybody erased.
        user_name: from the id in a file to the one in the tables.
    """

    digest: Callable[[str], str]
    digests: frozenset[str]
    user_name: Callable[[str], str] | None = None

    def __call__(self, user_id: str) -> bool:
        """Whether a user, named as in the tables, was erased."""
        return self.digest(user_id) in self.digests

    def named_in(self, text: str) -> bool:
        """Whether one of the words of a record that cannot be read is the id of somebody erased."""
        name = self.user_name or str
        return any(self(name(word)) for words in _WORDS for word in set(words.findall(text)))


def without_erased(rows: "DataFrame", erased: Erased | None) -> "DataFrame":
    """Rows of files (Spark) less those of people erased: by user_id, or where there is none by any word of column `line`."""
    if erased is None:
        return rows
    return rows.mapInArrow(partial(_kept, erased), rows.schema)


def _kept(erased: Erased, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        pairs = zip(batch.column("user_id").to_pylist(), batch.column("line").to_pylist(), strict=True)
        stay = [not (erased(user) if user is not None else erased.named_in(line)) for user, line in pairs]
        yield batch.filter(pa.array(stay, pa.bool_()))
