"""Find what stands for people in a warehouse's tables, in all versions: from user ids to `Traces`.

Two passes over the tables that know people, and one over the texts of those who stay: their words are nobody's to erase.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from persona_pipeline.contracts import Contract
from persona_pipeline.embeddings.cache import text_hash
from persona_pipeline.encoder.texts import render_personas
from persona_pipeline.erasure.derived import ItemPersonas, title_from
from persona_pipeline.erasure.mentions import Mentions
from persona_pipeline.erasure.places import Place
from persona_pipeline.erasure.rows import TableChange
from persona_pipeline.erasure.traces import Review, Traces
from persona_pipeline.extract.identity import label
from persona_pipeline.extract.sentences import split_sentences
from persona_pipeline.warehouse.history import History, in_utc

Row = dict[str, Any]
_ROWS = 4_096


def known_users(places: Iterable[Place], users: Collection[str]) -> set[str]:
    """Those of the users whom some version of some table names in a column of users, or a line of input set aside."""
    found: set[str] = set()
    wanted = pa.array(sorted(users), pa.string())
    anybody, each = Mentions(frozenset(users)), {user: Mentions(frozenset([user])) for user in users}
    for place in places:
        if place.contract is None:
            continue
        for name, field in place.contract.subjects("user"):
            for rows in _batches(place, {name}):
                if field and field not in {part.name for part in rows.schema.field(name).type.value_type}:
                    continue
                values = _values(rows, name, field)
                found |= set(values.filter(pc.is_in(values, wanted.cast(values.type))).to_pylist())
        records = place.contract.subjects("record")
        for rows in _batches(place, {name for name, _ in records}):
            for text in (text for name in rows.column_names for text in rows[name].to_pylist()):
                if anybody.in_record(text):
                    found |= {user for user in each.keys() - found if each[user].in_record(text)}
    return found


def collect(places: Sequence[Place], people: Collection[Collection[str]]) -> Traces:
    """Find what stands for these people, each given by all ids. Memory: their own rows, and the personas of items they reviewed."""
    users = {user for ids in people for user in ids}
    reviews, texts = _own(places, users)
    mentions = Mentions.of({*users, *reviews}, texts).without(_of_others(places, users))
    traces = Traces(datetime.now(UTC).date(), frozenset(users), reviews, mentions, people=len(people))
    requests = _requests(places, traces)
    summaries = _summaries(places, traces)
    hashes = {text_hash(part) for text in texts for part in _parts(text)}
    retired, rewritten, of_personas = _personas(places, traces, summaries)
    titles = {
        item: tuple(sorted({title for text in found if (title := title_from(text))}))
        for item, found in _lost_summaries(places, traces, summaries).items()
    }
    return replace(
        traces,
        retired=retired,
        rewritten=rewritten,
        requests=requests,
        hashes=frozenset(hashes | of_personas),
        untitled=titles,
    )


def _own(places: Iterable[Place], users: Collection[str]) -> tuple[dict[str, Review | None], set[str]]:
    """Ids of their reviews with what each counted for, and every text that is theirs."""
    reviews: dict[str, Review | None] = {}
    texts: set[str] = set()
    for place in places:
        contract = place.contract
        if contract is None or not contract.subjects("user"):
            continue
        for row in _rows_of(place, contract, users):
            owner = next((row[name] for name, field in contract.subjects("user") if field is None), None)
            if owner in users:
                _note(contract, row, None, reviews, texts)
            for name in {name for name, field in contract.subjects("user", "review", "words") if field}:
                whose = next((field for at, field in contract.subjects("user") if at == name and field), None)
                for struct in row.get(name) or ():
                    if (struct.get(whose) if whose else owner) in users:
                        _note(contract, struct, name, reviews, texts)
            if contract.table == "reviews":
                said = Review(row["item_id"], row["rating"], row["reviewed_at"].astimezone(UTC))
                before = reviews.get(row["review_id"])
                # Of a review that was edited the newest one counts, in whichever file it is.
                if before is None or said.reviewed_at >= before.reviewed_at:
                    reviews[row["review_id"]] = said
    return reviews, texts - {""}


def _rows_of(place: Place, contract: Contract, users: Collection[str]) -> Iterator[Row]:
    """Rows that name one of them, in columns of users or structs with one."""
    wanted = pa.array(sorted(users), pa.string())
    told = contract.subjects("user", "review", "words")
    columns = {name for name, _ in told} | (
        {"item_id", "rating", "reviewed_at"} if contract.table == "reviews" else set()
    )
    for rows in _batches(place, columns):
        for name, field in contract.subjects("user"):
            if field is None:
                yield from rows.filter(pc.is_in(rows[name], wanted.cast(rows[name].type))).to_pylist()
            elif field in {part.name for part in rows.schema.field(name).type.value_type}:
                lists = rows[name].combine_chunks()
                owners = pc.list_parent_indices(lists)
                flat = lists.flatten().field(field)
                hit = pc.unique(owners.filter(pc.is_in(flat, wanted.cast(flat.type))))
                yield from rows.take(hit).to_pylist()


def _note(
    contract: Contract, told: Row, column: str | None, reviews: dict[str, Review | None], texts: set[str]
) -> None:
    for name, field in contract.subjects("review", "words"):
        key = name if column is None and field is None else field if column == name else None
        value = told.get(key) if key else None
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        if (name, field) in contract.subjects("words"):
            texts.update(values)
        else:
            for one in values:
                reviews.setdefault(one, None)


def _of_others(places: Iterable[Place], users: Collection[str]) -> Iterator[str]:
    """What people who stay wrote in any version, and what the catalogue says."""
    gone = pa.array(sorted(users), pa.string())
    for place in places:
        table = place.contract.table if place.contract else None
        if table in ("reviews", "parsed_reviews"):  # of the latter some are not yet due, or withheld
            for rows in _batches(place, {"user_id", "title", "text"}):
                stay = rows.filter(pc.invert(pc.is_in(rows["user_id"], gone.cast(rows["user_id"].type))))
                yield from (text for name in ("title", "text") for text in stay[name].to_pylist() if text)
        elif table == "items":
            for rows in _batches(place, {"title", "description"}):
                yield from (text for name in rows.column_names for text in rows[name].to_pylist() if text)


def _parts(text: str) -> Iterator[str]:
    """What may have been embedded of a text: all of it, its sentences, and what was joined to one text."""
    yield text
    yield from (sentence.quote for sentence in split_sentences(text))
    yield from text.split("; ")


def _requests(places: Iterable[Place], traces: Traces) -> frozenset[str]:
    found: set[str] = set()
    for place in places:
        if place.contract and place.contract.table == "llm_calls":
            change = TableChange(place.contract, traces)
            for rows in _batches(place, {*change.columns, "request_key"}):
                found.update(rows["request_key"].filter(pa.array(change.marks(rows)[0])).to_pylist())
    return frozenset(found)


def _summaries(places: Iterable[Place], traces: Traces) -> dict[str, set[str]]:
    """Summaries of the items they reviewed, in every version."""
    reviewed = pa.array(sorted({review.item_id for review in traces.reviews.values() if review}), pa.string())
    found: dict[str, set[str]] = {}
    for place in places:
        if place.contract and place.contract.table == "item_summaries":
            for rows in _batches(place, {"item_id", "summary", "summary_source"}):
                theirs = rows.filter(pc.is_in(rows["item_id"], reviewed.cast(rows["item_id"].type)))
                for row in theirs.to_pylist():
                    found.setdefault(row["item_id"], set()).add(row["summary"])
    return found


def _lost_summaries(places: Iterable[Place], traces: Traces, summaries: dict[str, set[str]]) -> dict[str, set[str]]:
    """Those that have their words, or were made when nobody else had said anything about the item."""
    alone = set(summaries)
    for place in places:
        if place.contract and place.contract.table == "item_reviews":
            for rows in _batches(place, {"item_id", "evidence"}):
                some = rows.filter(pc.is_in(rows["item_id"], pa.array(sorted(summaries), pa.string())))
                alone -= {
                    row["item_id"]
                    for row in some.to_pylist()
                    if any(review["review_id"] not in traces.reviews for review in row["evidence"])
                }
    return {
        item: texts
        for item, texts in summaries.items()
        if item in alone or any(traces.mentions.quoted_in(text) for text in texts)
    }


def _personas(
    places: Iterable[Place], traces: Traces, summaries: dict[str, set[str]]
) -> tuple[frozenset[str], dict[str, str], set[str]]:
    """Personas that retire, those that lose words with the name that stays, and hashes of what was embedded of either."""
    retired: set[str] = set()
    rewritten: dict[str, str] = {}
    hashes: set[str] = set()
    for place in places:
        if not place.contract or place.contract.table != "item_personas":
            continue
        change = TableChange(place.contract, traces)
        told = {"persona_id", "item_id", "support", "mean_rating", "topic", *ItemPersonas.columns}
        for rows in _batches(place, {*told, *change.columns}):
            for before in rows.filter(pa.array(change.marks(rows)[1])).to_pylist():
                after = change.cleaned(before)
                words = [
                    name for name in ("name", "description", "preference_rationale") if after[name] != before[name]
                ]
                retires = not after["evidence"] and before["evidence"]
                if retires:
                    retired.add(before["persona_id"])
                elif words:
                    rewritten[before["persona_id"]] = after["name"]
                if retires or words:
                    hashes |= {text_hash(text) for text in _embedded(before, summaries.get(before["item_id"], {""}))}
    retired -= _supported(places, traces, retired)
    return frozenset(retired), {key: name for key, name in rewritten.items() if key not in retired}, hashes


def _supported(places: Iterable[Place], traces: Traces, personas: Collection[str]) -> set[str]:
    """Those of the personas that stay current in some version: there others support what in another version only they did."""
    found: set[str] = set()
    for place in places:
        if place.contract and place.contract.table == "item_personas":
            for rows in _batches(place, {"persona_id", "status", "evidence"}):
                some = rows.filter(pc.is_in(rows["persona_id"], pa.array(sorted(personas), pa.string())))
                for row in some.to_pylist():
                    refs = {span["ref"] for span in row["evidence"] if span["kind"] == "review"}
                    if row["status"] == "current" and refs - traces.reviews.keys():
                        found.add(row["persona_id"])
    return found


def _embedded(persona: Row, summaries: Iterable[str]) -> Iterator[str]:
    yield label(persona["name"], persona["description"])
    for summary in {"", *summaries}:
        parts = (persona["name"], persona["description"], summary, persona["preference_rationale"])
        yield render_personas(*(pa.array([part], pa.string()) for part in parts))[0].as_py()
    for text in (persona["name"], persona["description"], persona["preference_rationale"]):
        yield from _parts(text)


def _batches(place: Place, columns: Collection[str]) -> Iterator[pa.Table]:
    """Rows of every file of a table, a few at a time; files that lack a column are left out."""
    for name in History(place.folder).files():
        yield from file_batches(place.folder / name, columns)


def file_batches(path: Path, columns: Collection[str]) -> Iterator[pa.Table]:
    """Rows of one Parquet file with those of the columns it has; none where it lacks all of them."""
    with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
        held = [name for name in file.schema_arrow.names if name in columns]
        if held:
            for batch in file.iter_batches(_ROWS, columns=held):
                yield pa.Table.from_batches([batch]).cast(in_utc(batch.schema))


def _values(rows: pa.Table, name: str, field: str | None) -> pa.Array:
    values = rows[name].combine_chunks()
    return values if field is None else values.flatten().field(field)
