"""Find people in records of files that no contract describes: rows of Parquet, JSON lines, CSV, and values of JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from persona_pipeline.erasure.field_names import FieldNames, Kind
from persona_pipeline.erasure.mentions import Mentions
from persona_pipeline.sources.records import Fault, Split, records
from persona_pipeline.sources.shapes import Shape


@dataclass(frozen=True)
class Known:
    """Who is looked for, and under which names ids of people stand."""

    mentions: Mentions
    names: FieldNames

    def holds(self, value: Any, kind: Kind = "unknown") -> bool:
        """Whether a record, or a value under a name of this kind, holds an id of somebody, or words."""
        if isinstance(value, dict):
            return any(self.holds(one, self.names.kind(name, kind)) for name, one in value.items())
        if isinstance(value, list | tuple):
            return any(self.holds(one, kind) for one in value)
        return self._is_id(value, kind) or (isinstance(value, str) and self.mentions.quoted_in(value))

    def without(self, value: Any, kind: Kind = "unknown") -> Any:
        """JSON without keys and values that are somebody's id, and redacted elsewhere."""
        if isinstance(value, dict):
            kept = {key: one for key, one in value.items() if not self._is_id(key, kind)}
            return {key: self.without(one, self.names.kind(key, kind)) for key, one in kept.items()}
        if isinstance(value, list):
            return [self.without(one, kind) for one in value if not self._is_id(one, kind)]
        if self._is_id(value, kind):
            return None
        return self.mentions.redacted(value) if isinstance(value, str) and kind != "others" else value

    def _is_id(self, value: Any, kind: Kind) -> bool:
        """Whether a value is somebody's id; where nothing says whose, not if it may as well be a number or a syllable."""
        if kind == "others" or value is None:
            return False
        return str(value) in (self.mentions.ids if kind == "people" else self.mentions.sure)


@dataclass
class AnyRows:
    """What erasing does to rows of Parquet that no contract describes: those that hold an id of somebody, or words, go."""

    known: Known
    columns: frozenset[str]

    def marks(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Implement `warehouse.history.Change.marks`."""
        names = self.known.names
        told = [field.name for field in rows.schema if names.kind(field.name) == "people" or _has_text(field.type)]
        held = rows.select(told).to_pylist()
        goes = np.fromiter((self.known.holds(row) for row in held), bool, rows.num_rows)
        return goes, np.zeros(rows.num_rows, bool)

    def applied(self, rows: pa.Table) -> pa.Table:
        """Implement `warehouse.history.Change.applied`."""
        return rows.filter(pa.array(~self.marks(rows)[0]))


class TheirLines:
    """Lines of a file of records, from 1, that are somebody's.

    A record may take several lines. Of one that cannot be read the line itself says. Raises SourceError where the file breaks off.
    """

    def __init__(self, path: Path, shape: Shape, known: Known) -> None:
        self._mentions, self._gone, self._faulty = known.mentions, set[int](), set[int]()
        start, theirs = 1, False
        for line, _, fields in records(Split(path, shape)):
            if line > start:
                self._gone.update(range(start, line) if theirs else ())
                start, theirs = line, False
            if isinstance(fields, Fault):
                self._faulty.add(line)
            else:
                theirs = theirs or known.holds(fields)
        self._last = start if theirs else None

    def __call__(self, number: int, line: str) -> bool:
        """Whether a line is."""
        if number in self._gone or (self._last is not None and number >= self._last):
            return True
        return number in self._faulty and self._mentions.in_record(line)


def _has_text(kind: pa.DataType) -> bool:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return True
    if pa.types.is_dictionary(kind):
        return _has_text(kind.value_type)
    return any(_has_text(kind.field(n).type) for n in range(kind.num_fields))
