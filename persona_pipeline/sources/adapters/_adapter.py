"""Define what an adapter says of a source: where each field stands in its records, and how ratings are to be taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from persona_pipeline.config import InteractionsConfig, ReviewsConfig
from persona_pipeline.sources.item_fields import texts
from persona_pipeline.sources.shapes import Format
from persona_pipeline.sources.values import NotScalar, characters, moment

InputKind = Literal["reviews", "items", "interactions"]
REQUIRED: Mapping[InputKind, tuple[str, ...]] = {
    "reviews": ("user_id", "item_id", "rating", "timestamp"),
    "items": ("item_id",),
    "interactions": ("user_id", "item_id", "timestamp"),
}
_FIRST = 631_152_000_000_000  # 1990, in microseconds
Keys = tuple[str, ...]
"""Keys that may hold a field: the first that is there and not missing does. `a.b` is the key `b` of the object under `a`."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Keys by canonical field; those that are not required may be missing from any record.

    Attributes:
        formats: that files of the source may have.
        rating_scale: lowest and highest rating of the source. Ratings are taken to the scale from 1 to 5, linearly; where the
            highest is 5 already, as they are, those below 1 as 1.
        unrated: ratings that say that there is none.
        time_format: of its timestamps, in the letters of strptime; None: recognised.
        listed_by_comma: whether a text of categories is a list with commas.
        nested: keys of which one may hold a list of records within a record, each of which has the record's own fields too.
        no_categories: what stands among categories and is none.
        interactions: keys of an event's fields; empty: the source has no events.
        event_kind: kind of events whose records name none.
    """

    name: str
    reviews: Mapping[str, Keys]
    items: Mapping[str, Keys]
    formats: frozenset[Format] = frozenset({"json", "csv", "parquet"})
    rating_scale: tuple[float, float] = (1, 5)
    unrated: frozenset[float] = frozenset()
    time_format: str | None = None
    listed_by_comma: bool = False
    nested: Keys = ()
    no_categories: frozenset[str] = frozenset()
    interactions: Mapping[str, Keys] = field(default_factory=dict)
    event_kind: str = "event"

    def fields(self, kind: InputKind) -> Mapping[str, Keys]:
        """Keys by canonical field of a kind of input."""
        return {"reviews": self.reviews, "items": self.items, "interactions": self.interactions}[kind]

    def absent(self, kind: InputKind, seen: Sequence[Mapping[str, Any]]) -> list[str]:
        """Required fields for which no record has a key, each as the keys that would do."""
        fields = self.fields(kind)
        return [
            " or ".join(fields.get(name, ()))
            for name in REQUIRED[kind]
            if not any(found(record, fields.get(name, ())) is not None for record in seen)
        ]

    def of_events(self, config: InteractionsConfig) -> "Adapter":
        """The adapter with the names and the time format that a configuration gives for events."""
        names = _renamed(self.interactions, config.columns)
        return replace(self, interactions=names, time_format=config.time_format or self.time_format)

    def moment(self, text: str) -> int | None:
        """When a review was written, in microseconds since 1970, UTC; None where the characters do not say.

        Nothing was reviewed online before 1990: an earlier moment is a value that was never set.
        """
        when = moment(text, self.time_format)
        return when if when is not None and when >= _FIRST else None

    def inner(self, fields: Mapping[str, Any]) -> list[Any] | None:
        """The list of records that a record holds; None where it holds none."""
        for key in self.nested:
            if isinstance(held := fields.get(key), list):
                return held
        return None

    def mapped(self, config: ReviewsConfig) -> "Adapter":
        """The adapter with names, scale and time format that a configuration gives in the place of its own."""
        return replace(
            self,
            reviews=_renamed(self.reviews, config.columns),
            items=_renamed(self.items, config.item_columns),
            rating_scale=config.rating_scale or self.rating_scale,
            time_format=config.time_format or self.time_format,
        )


def canonical(names: Sequence[str]) -> dict[str, Keys]:
    """Fields whose keys are their own names."""
    return {name: (name,) for name in names}


def found(record: Mapping[str, Any], keys: Keys) -> Any:
    """Value of the first key that holds one; None where none does."""
    for key in keys:
        value = record.get(key)
        if value is None and "." in key:
            value = record
            for part in key.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
        if _says_something(value):
            return value
    return None


def _says_something(value: Any) -> bool:
    if isinstance(value, list | tuple | dict):
        return next(texts(value), None) is not None
    try:
        return characters(value) is not None
    except NotScalar:
        return True  # and is refused where one value is expected


def _renamed(fields: Mapping[str, Keys], columns: Mapping[str, str | None]) -> dict[str, Keys]:
    given = {name: (key,) if key else () for name, key in columns.items()}
    return {name: keys for name, keys in {**fields, **given}.items() if keys}
