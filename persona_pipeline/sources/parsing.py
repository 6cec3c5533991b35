"""Parse records of input files into rows of Arrow batches, each a valid row or a refusal with a typed reason.

A pure function of the records and of settings: the same in a task of a cluster and on one machine without any.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from persona_pipeline.sources.adapters import Adapter, Keys, found
from persona_pipeline.sources.erased import Erased
from persona_pipeline.sources.item_fields import categories, described, one_text
from persona_pipeline.sources.language import language_of
from persona_pipeline.sources.markup import is_markup_residue
from persona_pipeline.sources.nested import each_record
from persona_pipeline.sources.personal_data import mask_personal_data, mask_title
from persona_pipeline.sources.records import Fault, Record
from persona_pipeline.sources.text import clean_text
from persona_pipeline.sources.values import NotScalar, characters, identity, number

BATCH = 4_096
"""Records of a batch."""
EXCERPT = 200
"""Characters that are kept of what was refused."""
_LONGEST = 64  # characters of an address or number
_TITLE = 300
LINE = [
    ("source_line", pa.int64()),
    ("part", pa.int32()),
    ("reason", pa.string()),
    ("field", pa.string()),
    ("detail", pa.string()),
]
"""Columns of every batch: where a record stands, and why it is refused."""
REVIEW_SCHEMA = pa.schema(
    [
        *LINE,
        ("review_id", pa.string()),
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("rating", pa.float64()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("reviewed_at", pa.timestamp("us", "UTC")),
        ("says", pa.int64()),
    ]
)
"""`says` is a hash of what a review says: two records with the same are copies of one another."""
ITEM_SCHEMA = pa.schema(
    [
        *LINE,
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("creator", pa.string()),
        ("categories", pa.list_(pa.string())),
        ("description", pa.string()),
    ]
)


class Refused(Exception):  # noqa: N818 - it is no error of the program: a record is set aside by it
    """A record that is set aside: typed reason, the field, and the characters it has there."""

    def __init__(self, reason: str, field: str | None, value: Any) -> None:
        super().__init__(reason)
        self.reason, self.field, self.value = reason, field, value

    def shown(self) -> str | None:
        """The masked beginning of what was refused."""
        return None if self.value is None else excerpt(str(self.value))


@dataclass(frozen=True, slots=True)
class ParsingSettings:
    """What decides a row besides the record: cut of texts, and how a user is named.

    Attributes:
        user_name: from the id in the file to the one in the tables (pseudonyms); None: as it is.
        erased: who was erased; the reason of such a record is `erased`, and nothing else of it is kept.
    """

    max_characters: int
    user_name: Callable[[str], str] | None = None
    erased: Erased | None = None


def review_batches(records: Iterable[Record], adapter: Adapter, settings: ParsingSettings) -> Iterator[pa.RecordBatch]:
    """Parse reviews, `BATCH` a time, in the order of the records: one row each, of `REVIEW_SCHEMA`."""
    parse = _ReviewParser(adapter, settings)
    rows: list[tuple[Any, ...]] = []
    for record in each_record(records, adapter, "reviews"):
        rows.append(parse(record))
        if len(rows) >= BATCH:
            yield _review_batch(rows)
            rows = []
    if rows:
        yield _review_batch(rows)


def item_batches(records: Iterable[Record], adapter: Adapter, settings: ParsingSettings) -> Iterator[pa.RecordBatch]:
    """Parse items, `BATCH` a time: one row a record, of `ITEM_SCHEMA`."""
    rows: list[tuple[Any, ...]] = []
    for record in each_record(records, adapter, "items"):
        rows.append(_item(record, adapter, settings))
        if len(rows) >= BATCH:
            yield batch_of(rows, ITEM_SCHEMA)
            rows = []
    if rows:
        yield batch_of(rows, ITEM_SCHEMA)


class FieldParser:
    """Parse fields of records by the keys under which a source has them; what cannot be is `Refused`."""

    def __init__(self, adapter: Adapter, keys: Mapping[str, Keys]) -> None:
        self.adapter, self.keys = adapter, keys
        self.lowest, self.highest = adapter.rating_scale

    def value(self, fields: Mapping[str, Any], name: str) -> str | None:
        """Characters of a field; None where it is missing."""
        keys = self.keys[name]
        value = fields.get(keys[0])
        if isinstance(value, str) and (text := characters(value)) is not None:
            return text
        try:
            return characters(found(fields, keys))
        except NotScalar as shape:
            raise Refused(f"bad_{name}", keys[0], f"{shape} where one value was expected") from shape

    def id(self, fields: Mapping[str, Any], name: str) -> str:
        """An id in its canonical form."""
        found = self.optional_id(fields, name)
        if found is None:
            raise Refused(f"missing_{name}", self.keys[name][0], None)
        return found

    def optional_id(self, fields: Mapping[str, Any], name: str) -> str | None:
        """An id in its canonical form; None where it is missing."""
        text = self.value(fields, name)
        if text is None:
            return None
        if not text.isascii() and not encodable(text):
            raise Refused(f"bad_{name}", self.keys[name][0], "half of a surrogate pair")
        return identity(text)

    def rating(self, fields: Mapping[str, Any]) -> float:
        """Stars from 1 to 5."""
        text = self.value(fields, "rating")
        if text is None:
            raise Refused("missing_rating", self.keys["rating"][0], None)
        rating = number(text)
        if rating in self.adapter.unrated:
            raise Refused("unrated", self.keys["rating"][0], text)
        if rating is None or not self.lowest <= rating <= self.highest:
            raise Refused("bad_rating", self.keys["rating"][0], text)
        if self.highest == 5:
            return max(rating, 1.0)
        return round(1 + 4 * (rating - self.lowest) / (self.highest - self.lowest), 6)

    def when(self, fields: Mapping[str, Any]) -> int:
        """Microseconds since 1970."""
        text = self.value(fields, "timestamp")
        if text is None:
            raise Refused("missing_timestamp", self.keys["timestamp"][0], None)
        when = self.adapter.moment(text)
        if when is None:
            raise Refused("bad_timestamp", self.keys["timestamp"][0], text)
        return when


def unreadable(record: Record, fault: Fault, settings: ParsingSettings) -> tuple[Any, ...]:
    """The first columns of a record that cannot be read, which may be one of somebody erased."""
    if settings.erased is not None and settings.erased.named_in(fault.excerpt):
        return (*record[:2], "erased", None, None)
    return (*record[:2], fault.reason, None, _shown(fault, settings))


def _shown(fault: Fault, settings: ParsingSettings) -> str | None:
    """An excerpt of a record that cannot be read; none where any word may be a user's id, or the words of somebody erased."""
    return None if settings.user_name or settings.erased is not None else excerpt(fault.excerpt) or None


class _ReviewParser(FieldParser):
    def __init__(self, adapter: Adapter, settings: ParsingSettings) -> None:
        super().__init__(adapter, adapter.reviews)
        self.settings = settings

    def __call__(self, record: Record) -> tuple[Any, ...]:
        fields = record.fields
        if isinstance(fields, Fault):
            return (*unreadable(record, fields, self.settings), *_NO_REVIEW)
        settings = self.settings
        try:
            user = self.id(fields, "user_id")
            if settings.user_name is not None:
                user = settings.user_name(user)
            if settings.erased is not None and settings.erased(user):
                return (*record[:2], "erased", None, None, *_NO_REVIEW)
            item = self.id(fields, "item_id")
            rating = self.rating(fields)
            when = self.when(fields)
            own_id = self._own_id(fields)
            raw = self._text(fields, "text")
            title = self._text(fields, "title")
        except Refused as refused:
            return (*record[:2], refused.reason, refused.field, refused.shown(), *_NO_REVIEW)
        longest = settings.max_characters
        text = None if raw is None else clean_text(raw, longest, mask_personal_data)
        text = "" if text is None else text
        title = None if title is None else clean_text(title, longest, mask_personal_data)
        review_id = own_id or (user, item, raw and self._received(fields))
        return (
            *record[:2], None, None, None, review_id, user, item, rating, title, text, language_of(text) if text else None, when,
            _says(rating, title, text, when),
        )  # fmt: skip

    def _own_id(self, fields: Mapping[str, Any]) -> str | None:
        """The source's id of a review; None where it has none that can be used."""
        if "review_id" not in self.keys:
            return None
        try:
            text = characters(found(fields, self.keys["review_id"]))
        except NotScalar:
            return None
        return None if text is None or not encodable(text) else identity(text)

    def _text(self, fields: Mapping[str, Any], name: str) -> str | None:
        keys = self.keys.get(name)
        if keys is None:
            return None
        value = fields.get(keys[0])
        if value.__class__ is str and (text := characters(value)) is not None:
            return text
        return one_text(found(fields, keys))

    def _received(self, fields: Mapping[str, Any]) -> str | None:
        """The text with all its white space but blanks around it, as derived ids have always been made from it."""
        value = found(fields, self.keys["text"])
        return value.strip(" ") if isinstance(value, str) else one_text(value)


def _says(rating: float, title: str | None, text: str, when: int) -> int:
    said = f"{rating}\u001f{when}\u001f{title or ''}\u001f{text}".encode()
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "little", signed=True)


_NO_REVIEW = (None,) * (len(REVIEW_SCHEMA) - len(LINE))
_NO_ITEM = (None,) * (len(ITEM_SCHEMA) - len(LINE))


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def excerpt(value: str) -> str:
    """A masked beginning of what was refused."""
    clean = value[: 4 * EXCERPT].encode(errors="replace").decode()
    masked = mask_personal_data(clean)
    # Where it was cut may be within a number, of which no half is recognised; masks are shorter than what they hide.
    return masked[: EXCERPT if len(value) <= 4 * EXCERPT else min(EXCERPT, max(0, len(masked) - _LONGEST))]


def _item(record: Record, adapter: Adapter, settings: ParsingSettings) -> tuple[Any, ...]:
    fields, keys = record.fields, adapter.items
    if isinstance(fields, Fault):
        return (*record[:2], fields.reason, None, _shown(fields, settings), *_NO_ITEM)
    try:
        item = characters(found(fields, keys["item_id"]))
    except NotScalar as shape:
        shown = excerpt(f"{shape} where one value was expected")
        return (*record[:2], "bad_item_id", keys["item_id"][0], shown, *_NO_ITEM)
    if item is None or not encodable(item):
        reason = "missing_item_id" if item is None else "bad_item_id"
        return (*record[:2], reason, keys["item_id"][0], None, *_NO_ITEM)

    def told(name: str) -> Any:
        return found(fields, keys[name]) if name in keys else None

    parts = categories(told("categories"), adapter.listed_by_comma)
    listed = (_name(part) for part in parts if part not in adapter.no_categories)
    description = described(told("description"))
    plain = None if description is None else clean_text(description, settings.max_characters, mask_personal_data)
    return (
        *record[:2], None, None, None, identity(item), _name(one_text(told("title"))), _name(one_text(told("creator"))),
        list(dict.fromkeys(part for part in listed if part)), plain,
    )  # fmt: skip


def _name(text: str | None) -> str | None:
    """A title, creator or category: cleaned, and nothing where it is a script or markup of a page."""
    if text is None or is_markup_residue(text):
        return None
    return clean_text(text, _TITLE, mask_title)


def batch_of(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    """Rows as a batch of the schema."""
    columns = zip(*rows, strict=True)
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _review_batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    return batch_of(_with_ids(rows), REVIEW_SCHEMA)


def _with_ids(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows with derived ids: 16 hexadecimal digits of the hash of user, item, time and text as received.

    Their recipe is that of the warehouses there are; another would name every review anew.
    """
    place, when = REVIEW_SCHEMA.get_field_index("review_id"), REVIEW_SCHEMA.get_field_index("reviewed_at")
    derived = [n for n, row in enumerate(rows) if isinstance(row[place], tuple)]
    moments = np.array([rows[n][when] for n in derived], "datetime64[us]")
    whole = np.datetime_as_string(moments.astype("datetime64[s]"))
    for n, second in zip(derived, whole, strict=True):
        row = rows[n]
        user, item, text = row[place]
        fraction = row[when] % 1_000_000
        written = str(second).replace("T", " ") + (f".{fraction:06}".rstrip("0") if fraction else "")
        parts = (user, item, written) if text is None else (user, item, written, text)
        digest = hashlib.sha256("\u001f".join(parts).encode(errors="replace")).hexdigest()[:16]
        rows[n] = (*row[:place], digest, *row[place + 1 :])
    return rows
