"""Find the day after the newest review or event of the input: the first `as_of` that leaves nothing of it out."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from persona_pipeline.config import InteractionsConfig
from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.adapters import Adapter
from persona_pipeline.sources.digests import digest_of
from persona_pipeline.sources.events import EventSettings, event_batches
from persona_pipeline.sources.files import check_files, file_records
from persona_pipeline.sources.given import GivenRecords
from persona_pipeline.sources.nested import each_record
from persona_pipeline.sources.parsing import FieldParser, ParsingSettings, Refused
from persona_pipeline.sources.records import Fault, Record


def day_after_newest(
    given: GivenRecords,
    events: InteractionsConfig,
    known: Mapping[str, datetime | None] | None = None,
    now: datetime | None = None,
) -> date:
    """The day after the newest review or event that can be used.

    Args:
        given: reviews or events.
        events: what kinds weigh: an event of an unknown kind is refused.
        known: the newest moment by digest of the files that an earlier night parsed alike; all others are read.
        now: by the clock.

    A date later than tomorrow is nobody's: a clock or a program was wrong, and it must not move all nights ahead. Raises
    SourceError where nothing has another.
    """
    known = known or {}
    latest = (now or datetime.now(UTC)) + timedelta(days=1)
    bound = int(latest.timestamp() * 1_000_000)
    newest, ahead = -1, 0
    for file in check_files(given.path, given.kind, given.adapter, known):
        digest = digest_of(file.path) if known else ""
        if digest in known and ((before := known[digest]) is None or before <= latest):
            newest = max(newest, int(before.timestamp() * 1_000_000) if before else -1)
            continue
        for when in _moments(file_records(file), given, events):
            if when > bound:
                ahead += 1
            elif when > newest:
                newest = when
    if newest < 0:
        keys = " or ".join(given.adapter.fields(given.kind)["timestamp"])
        told = f"{ahead:,} lie in the future" if ahead else f"none that can be used has a readable {keys}"
        raise SourceError(
            f"{given.kind}: of the {given.kind} of {given.path} {told}; set AS_OF to a date such as 2024-06-30"
        )
    return datetime.fromtimestamp(newest // 1_000_000, UTC).date() + timedelta(days=1)


def _moments(records: Iterable[Record], given: GivenRecords, events: InteractionsConfig) -> Iterator[int]:
    """Microseconds since 1970 of those that can be used."""
    if given.kind == "reviews":
        return _review_moments(records, given.adapter)
    return _event_moments(records, given.adapter, EventSettings.of(events, ParsingSettings(max_characters=0)))


def _review_moments(records: Iterable[Record], adapter: Adapter) -> Iterator[int]:
    parse = FieldParser(adapter, adapter.reviews)
    for record in each_record(records, adapter, "reviews"):
        fields = record.fields
        if isinstance(fields, Fault):
            continue
        try:
            parse.id(fields, "user_id")
            parse.id(fields, "item_id")
            parse.rating(fields)
            when = parse.when(fields)
        except Refused:
            continue
        yield when


def _event_moments(records: Iterable[Record], adapter: Adapter, settings: EventSettings) -> Iterator[int]:
    for batch in event_batches(records, adapter, settings):
        yield from batch["occurred_at"].drop_null().cast(pa.int64()).to_pylist()
