"""Parse records of files of events into rows of Arrow batches, each a valid event or a refusal with a typed reason.

A pure function of the records and of settings, as `parsing` is for reviews, and by the same parser of values.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persona_pipeline.config import InteractionsConfig
from persona_pipeline.core.interactions import EVENT
from persona_pipeline.sources.adapters import Adapter
from persona_pipeline.sources.parsing import (
    BATCH,
    LINE,
    FieldParser,
    ParsingSettings,
    Refused,
    batch_of,
    encodable,
    unreadable,
)
from persona_pipeline.sources.records import Fault, Record
from persona_pipeline.sources.values import number

EVENT_SCHEMA = pa.schema(
    [
        *LINE,
        ("interaction_id", pa.string()),
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("kind", pa.string()),
        ("weight", pa.float64()),
        ("occurred_at", pa.timestamp("us", "UTC")),
    ]
)
_NOTHING = (None,) * (len(EVENT_SCHEMA) - len(LINE))
_LONGEST_KIND = 100
_DISLIKED, _NEUTRAL, _MOST = 2.0, 3.0, 5.0
"""Of stars from 1 to 5: the most that say dislike, where liking ends, and what says as much as anything can."""


@dataclass(frozen=True, slots=True)
class EventSettings:
    """What decides an event besides the record: how users are named, and what kinds weigh."""

    parsing: ParsingSettings
    weights: Mapping[str, float]
    default_weight: float | None

    @classmethod
    def of(cls, config: InteractionsConfig, parsing: ParsingSettings) -> "EventSettings":
        """The settings that a configuration gives."""
        return cls(parsing, config.weights, config.default_weight)


def event_batches(records: Iterable[Record], adapter: Adapter, settings: EventSettings) -> Iterator[pa.RecordBatch]:
    """Parse events, `BATCH` a time, in the order of the records: one row each, of `EVENT_SCHEMA`."""
    parse = _EventParser(adapter, settings)
    rows: list[tuple[Any, ...]] = []
    for record in records:
        rows.append(parse(record))
        if len(rows) >= BATCH:
            yield batch_of(rows, EVENT_SCHEMA)
            rows = []
    if rows:
        yield batch_of(rows, EVENT_SCHEMA)


def weight_of_stars(stars: float) -> float:
    """Weight of a rating from 1 to 5: its share of five, or from -0.5 at two stars down to -1 at one."""
    return stars / _MOST if stars > _DISLIKED else (stars - _NEUTRAL) / 2


class _EventParser(FieldParser):
    def __init__(self, adapter: Adapter, settings: EventSettings) -> None:
        super().__init__(adapter, adapter.interactions)
        self.settings = settings

    def __call__(self, record: Record) -> tuple[Any, ...]:
        fields, parsing = record.fields, self.settings.parsing
        if isinstance(fields, Fault):
            return (*unreadable(record, fields, parsing), *_NOTHING)
        try:
            user = self.id(fields, "user_id")
            if parsing.user_name is not None:
                user = parsing.user_name(user)
            if parsing.erased is not None and parsing.erased(user):
                return (*record[:2], "erased", None, None, *_NOTHING)
            item = self.id(fields, "item_id")
            when = self.when(fields)
            kind = self._kind(fields)
            weight = self._weight(fields, kind)
            own_id = self.optional_id(fields, "interaction_id") if "interaction_id" in self.keys else None
        except Refused as refused:
            return (*record[:2], refused.reason, refused.field, refused.shown(), *_NOTHING)
        name = own_id or _derived(user, item, when, kind)
        return (*record[:2], None, None, None, f"{EVENT}{name}", user, item, kind, weight, when)

    def _optional(self, fields: Mapping[str, Any], name: str) -> str | None:
        return self.value(fields, name) if name in self.keys else None

    def _kind(self, fields: Mapping[str, Any]) -> str:
        kind = self._optional(fields, "kind")
        if kind is None:
            return self.adapter.event_kind
        if len(kind) > _LONGEST_KIND or not encodable(kind):
            raise Refused("bad_kind", self.keys["kind"][0], kind)
        return str(kind)

    def _weight(self, fields: Mapping[str, Any], kind: str) -> float:
        """The record's own weight, else that of its stars, else the configuration's for its kind."""
        text = self._optional(fields, "weight")
        if text is not None:
            weight = number(text)
            if weight is None or not -1 <= weight <= 1:
                raise Refused("bad_weight", self.keys["weight"][0], text)
            return weight
        if "rating" in self.keys:
            return weight_of_stars(self.rating(fields))
        known = self.settings.weights.get(kind, self.settings.default_weight)
        if known is None:
            raise Refused("unknown_kind", self.keys["kind"][0] if "kind" in self.keys else None, kind)
        return known


def _derived(user: str, item: str, when: int, kind: str) -> str:
    return hashlib.sha256("\x1f".join((user, item, str(when), kind)).encode()).hexdigest()[:16]
