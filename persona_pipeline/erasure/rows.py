"""Decide by a table's contract which rows go, which change, and how, where people are erased (`TableChange`).

| subject | what an erased one does |
| --- | --- |
| user, review, persona | the row goes; in a list, the struct or the value |
| quoted, mixed | the same; of a cache always the row |
| request | the row goes, or where it may be null the value |
| text_hash | the row goes |
| words | the row goes, if no id in it says whose they are |
| record | the row goes |
| remark | the text is redacted |
| derived | as the table's own rule says (`derived`) |
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.contracts import Contract, Subject
from persona_pipeline.erasure.derived import RULES, Rule
from persona_pipeline.erasure.traces import Traces

Row = dict[str, Any]
_IDS: tuple[Subject, ...] = ("user", "review", "quoted", "persona", "request", "mixed", "text_hash")
_TEXTS: tuple[Subject, ...] = ("words", "record", "remark")


class TableChange:
    """What erasing people does to one table; a `warehouse.history.Change`."""

    def __init__(self, contract: Contract, traces: Traces) -> None:
        self._contract, self._traces = contract, traces
        self._rule = RULES.get(contract.table, Rule())
        told = contract.subjects(*_IDS, *_TEXTS)
        self.columns = frozenset(column for column, _ in told) | self._rule.columns
        self._columns = {column.name: column for column in contract.columns}
        self._whole = contract.role == "cache"
        ids: dict[Subject, Any] = {
            "user": traces.users,
            "review": traces.reviews,
            "quoted": traces.reviews,
            "persona": traces.retired,
            "request": traces.requests,
            "mixed": {*traces.users, *traces.reviews},
            "text_hash": traces.hashes,
        }
        self._ids: Mapping[Subject, pa.Array] = {
            kind: pa.array(sorted(found), pa.string()) for kind, found in ids.items()
        }
        # Words of a row that says whose it is need no looking for.
        self._owned = any(field is None for _, field in contract.subjects("user", "review"))

    def marks(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Implement `Change.marks`. Vectorised over ids; texts are looked through one by one."""
        goes, changes = self._marked(rows)
        return (np.zeros(len(goes), bool), goes | changes) if self._rule.keeps_places else (goes, changes)

    def applied(self, rows: pa.Table) -> pa.Table:
        """Implement `Change.applied`. Only rows that change become Python objects."""
        goes, changes = self._marked(rows)
        if not goes.any() and not changes.any():
            return rows
        new = [self.cleaned(row) for row in rows.filter(pa.array(changes)).to_pylist()]
        place = np.arange(rows.num_rows)
        place[changes] = rows.num_rows + np.arange(len(new))
        if self._rule.keeps_places:
            place[goes] = rows.num_rows + len(new) + np.arange(goes.sum())
            new += [self._rule.emptied(row) for row in rows.filter(pa.array(goes)).to_pylist()]
            goes = np.zeros(len(goes), bool)
        both = pa.concat_tables([rows, pa.Table.from_pylist(new, schema=rows.schema)])
        return both.take(pa.array(place[~goes])).combine_chunks()

    def _marked(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Which rows are theirs, and which of the others have something of theirs; (n,) bool each."""
        goes, changes = np.zeros(rows.num_rows, bool), np.zeros(rows.num_rows, bool)
        for name, field in self._contract.subjects(*_IDS, *_TEXTS):
            if name not in rows.column_names:
                continue
            found = self._found(rows[name], name, field)
            (changes if self._stays(name, field) else goes)[found] = True
        changes |= self._rule.touches(rows, self._traces)
        return goes, changes & ~goes

    def cleaned(self, row: Row) -> Row:
        """A row that stays, without what is theirs."""
        before, row = row, dict(row)
        for name, field in self._contract.subjects(*_IDS, *_TEXTS):
            if row.get(name) is not None:
                row[name] = self._clean(row[name], name, field)
        return self._rule.cleaned(before, row, self._traces)

    def _clean(self, value: Any, name: str, field: str | None) -> Any:
        subject = self._subject(name, field)
        mentions = self._traces.mentions
        if field is not None:  # which a file from before it lacks
            if subject == "remark":
                return [{**struct, field: mentions.redacted(struct.get(field))} for struct in value]
            return [struct for struct in value if not self._is_theirs(subject, struct.get(field))]
        if isinstance(value, list):
            if subject == "remark":
                return [mentions.redacted(one) for one in value]
            return [one for one in value if not self._is_theirs(subject, one)]
        if subject == "remark":
            return mentions.redacted(value)
        return None if subject == "request" and self._is_theirs(subject, value) else value

    def _is_theirs(self, subject: Subject, value: Any) -> bool:
        traces = self._traces
        if subject in ("review", "quoted"):
            return value in traces.reviews
        if subject == "mixed":
            return value in traces.reviews or value in traces.users
        theirs = {
            "user": traces.users,
            "persona": traces.retired,
            "request": traces.requests,
            "text_hash": traces.hashes,
        }
        return value in theirs.get(subject, ())

    def _stays(self, name: str, field: str | None) -> bool:
        """Whether a row that has something of theirs here stays, without it."""
        column, subject = self._columns[name], self._subject(name, field)
        if subject == "remark":
            return True
        if column.type == "list":
            return not self._whole
        return subject == "request" and column.nullable

    def _found(self, column: pa.ChunkedArray, name: str, field: str | None) -> np.ndarray:
        """Which rows have something of theirs in a column, or a field of its structs: (n,) bool."""
        subject = self._subject(name, field)
        nothing = np.zeros(len(column), bool)
        if subject == "words" and (self._owned or field is not None):
            return nothing
        values = column.combine_chunks()
        if self._columns[name].type != "list":
            return self._theirs(values, subject)
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        flat = values.flatten()
        if field is not None:
            if field not in {part.name for part in flat.type}:
                return nothing
            flat = flat.field(flat.type.get_field_index(field))
        owners = np.repeat(np.arange(len(values)), lengths)
        nothing[owners[self._theirs(flat, subject)]] = True
        return nothing

    def _theirs(self, values: pa.Array, subject: Subject) -> np.ndarray:
        if subject in _IDS:
            found = pc.is_in(values, self._ids[subject].cast(values.type))
            return np.asarray(found.to_numpy(zero_copy_only=False), bool)
        mentions = self._traces.mentions
        looks: Callable[[str | None], bool] = mentions.in_record if subject == "record" else mentions.quoted_in
        if subject == "remark":
            looks = mentions.mentioned_in
        return np.fromiter((looks(text) for text in values.to_pylist()), bool, len(values))

    def _subject(self, name: str, field: str | None) -> Subject:
        column = self._columns[name]
        found = column.subject if field is None else next(part.subject for part in column.fields if part.name == field)
        assert found is not None
        return found
