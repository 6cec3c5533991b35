"""Check a night for leakage: refuse to evaluate tables or encoders that contain or were trained on withheld reviews or events.

The places to check follow from the contracts: any column or field that names a review or an event, and any table of
users and items.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from persona_pipeline.contracts import Contract, load_contract, table_names
from persona_pipeline.core.errors import LeakError
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.fingerprints import reviews_digest

REVIEW_NAMES = ("interaction_id", "review_id", "ref", "subject_id", "history_interaction_ids", "extracted_from")
"""Columns, and fields of structs, that hold ids of reviews or events (`ref` and `subject_id` hold other names too)."""

NOT_LEARNED_FROM = {
    "llm_calls": "answers about each text on its own, shared with other warehouses on purpose; a night sees only those it asks for",
    "parsed_reviews": "the input as it was parsed, of which the task `reviews` alone reads, and leaves out what is withheld",
    "evaluation_metrics": "what this evaluation itself writes",
}
RECOMMENDING = ("user_item_topk", "candidates")
"""Tables whose users and items are recommendations: a withheld item is just what they should name."""

_ENCODED = ("persona_vectors", "user_vectors", "user_item_topk", "default_topk")


@dataclass(frozen=True, slots=True)
class LeakPlace:
    """A place that may hold withheld interactions or pairs: a table, the column shown to people, and SQL that selects its values.

    The SQL gives one column, interaction_id, or two, user_id and item_id.
    """

    table: str
    column: str
    sql: str


def review_places() -> list[LeakPlace]:
    """List every column and field of every contract that holds ids of reviews or events."""
    return [place for table in _learned_from() for place in _review_places(load_contract(table))]


def pair_places() -> list[LeakPlace]:
    """List every place of every contract that records interactions of a user and an item."""
    found = []
    for table in _learned_from():
        names = load_contract(table).names
        if {"user_id", "item_id"} <= set(names) and table not in RECOMMENDING:
            found.append(LeakPlace(table, "user_id, item_id", f"SELECT user_id, item_id FROM {table}"))
        if {"user_id", "reviewed_item_ids"} <= set(names):
            sql = f"SELECT user_id, unnest(reviewed_item_ids) AS item_id FROM {table}"
            found.append(LeakPlace(table, "reviewed_item_ids", sql))
    return found


def require_nothing_withheld(warehouse: Warehouse, withheld: pa.Table, pairs: pa.Table | None = None) -> None:
    """Pass if no table of the warehouse, no staged table and no encoder behind them derives from what was withheld.

    Args:
        warehouse: of the night to be evaluated.
        withheld: interaction_id, user_id and item_id of each withheld review and event.
        pairs: user_id and item_id the night must not connect; those of `withheld` by default. Fewer where a user may
            rightly have reviewed a withheld review's item before.

    Raises:
        LeakError: naming the table and column, how many rows hold withheld values, and one of them; or the encoder
            that was trained from other reviews, or does not say from which.
    """
    both = withheld if pairs is None else pairs
    for found in (warehouse, staged_tables(warehouse)):
        for place in review_places():
            _require_none(found, place, "interaction_id", withheld.select(["interaction_id"]))
        for place in pair_places():
            _require_none(found, place, "user_id, item_id", both.select(["user_id", "item_id"]))
    _require_encoders_of(warehouse)


def _learned_from() -> list[str]:
    return [table for table in table_names() if table not in NOT_LEARNED_FROM]


def _review_places(contract: Contract) -> Iterator[LeakPlace]:
    for column in contract.columns:
        name, table = column.name, contract.table
        if name in REVIEW_NAMES:
            value = f"unnest({name})" if column.items else name
            yield LeakPlace(table, name, f"SELECT {value} AS interaction_id FROM {table}")
        for field in column.fields:
            if field.name in REVIEW_NAMES:
                # Into a struct first: unnested twice at once, DuckDB would spread the fields over columns.
                sql = f"SELECT part.{field.name} AS interaction_id FROM (SELECT unnest({name}) AS part FROM {table})"
                yield LeakPlace(table, f"{name}.{field.name}", sql)


def _require_none(warehouse: Warehouse, place: LeakPlace, key: str, withheld: pa.Table) -> None:
    sql = (
        f"SELECT count(*) AS n, any_value(held) AS example FROM ({place.sql}) AS held SEMI JOIN withheld USING ({key})"
    )
    [found] = warehouse.query(sql, [place.table], withheld=withheld).to_pylist()
    if found["n"]:
        example = ", ".join(f"{name} {value}" for name, value in found["example"].items())
        raise LeakError(
            f"table {place.table} at {warehouse.path(place.table)}: {place.column} holds what was withheld, "
            f"{found['n']:,} times, for example {example}. It was made with what it would be scored against: "
            "make it again in a warehouse of its own, with reviews.withheld naming every withheld review and event"
        )


def _require_encoders_of(warehouse: Warehouse) -> None:
    """Require that every encoder behind vectors or recommendations was trained on exactly this warehouse's reviews and events."""
    in_use: set[str] = set()
    for found in (warehouse, staged_tables(warehouse)):
        for table in _ENCODED:
            in_use.update(found.query(f"SELECT DISTINCT encoder_id FROM {table}", [table])["encoder_id"].to_pylist())
    wanted = reviews_digest(warehouse)
    artefacts = warehouse.query("SELECT encoder_id, artefact FROM encoders", ["encoders"]).to_pylist()
    folders = {row["encoder_id"]: warehouse.root / row["artefact"] for row in artefacts}
    for encoder_id in sorted(in_use):
        if encoder_id not in folders:
            raise LeakError(
                f"encoder {encoder_id}: not in the table encoders of {warehouse.root}; train it there again"
            )
        about = folders[encoder_id] / "encoder.json"
        digest = json.loads(about.read_text(encoding="utf-8")).get("reviews_digest") if about.is_file() else None
        if digest is None:
            raise LeakError(
                f"encoder {encoder_id}: {about} does not say which reviews it was trained from (reviews_digest); train it again"
            )
        if digest != wanted:
            raise LeakError(
                f"encoder {encoder_id}: trained from other reviews or events than those of {warehouse.root} "
                f"(reviews_digest {digest[:12]}, expected {wanted[:12]}): its weights or its popularity may know what was "
                "withheld; train it again in this warehouse"
            )
