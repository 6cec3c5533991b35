"""Take records out of records: a history holds reviews, each of which has the history's own fields too (`Adapter.nested`)."""

from collections.abc import Iterable, Iterator

from persona_pipeline.sources.adapters import Adapter, InputKind, found
from persona_pipeline.sources.records import EMPTY, Fault, Record


def each_record(records: Iterable[Record], adapter: Adapter, kind: InputKind) -> Iterable[Record]:
    """Records, and in their place those within them where the source has such; of items, where the one around is none itself."""
    return _within(records, adapter, kind) if adapter.nested else records


def _within(records: Iterable[Record], adapter: Adapter, kind: InputKind) -> Iterator[Record]:
    line, part = 0, 0
    for record in records:
        line, part = record.line, part if record.line == line else 0
        fields = record.fields
        inner = None if isinstance(fields, Fault) else adapter.inner(fields)
        if kind == "items" and not isinstance(fields, Fault) and found(fields, adapter.items["item_id"]) is not None:
            inner = None
        if isinstance(fields, Fault) or inner is None:
            yield Record(line, part, fields)
            part += 1
            continue
        if not inner:
            yield Record(line, part, Fault(EMPTY, ""))
            part += 1
            continue
        around = {name: value for name, value in fields.items() if name not in adapter.nested}
        for one in inner:
            yield Record(line, part, {**around, **one} if isinstance(one, dict) else Fault("not_json", str(one)[:500]))
            part += 1
