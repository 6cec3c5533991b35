"""Find subjects to extract: reviews and items whose extraction key has no valid row yet.

A key is the hash of the texts and ratings a result rests on and of the extractor's version, so a result is reused
exactly as long as extracting again could not change it.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.types import ReviewsOf
from persona_pipeline.warehouse import Warehouse

_KEY = "substr(sha256(concat_ws(chr(31), $version, {parts})), 1, 32)"
_IDS: dict[ReviewsOf, str] = {
    "item_reviews": "SELECT unnest(evidence).review_id FROM item_reviews",
    "user_histories": "SELECT unnest(interactions).review_id FROM user_histories",
}
_REVIEW = "concat_ws(':', e.review_id, e.rating, sha256(concat_ws(chr(31), coalesce(e.title, ''), e.text)))"
_EVIDENCE = f"array_to_string(list_sort(list_transform(evidence, lambda e: {_REVIEW})), ',')"
_ASPECTS = """coalesce(sha256(list_transform(aspects, lambda a: {
    'id': a.review_id, 'category': a.category_preference, 'purpose': a.purchase_purpose, 'quality': a.quality_criteria,
    'context': a.usage_context, 'spans': a.evidence})::VARCHAR), '')"""
# Why a subject is asked about, from the row it has, `old`, if it has one.
_WHY = """CASE WHEN old.extractor_version IS NULL THEN 'new' WHEN old.extractor_version <> $version THEN 'prompt, model or code'
    WHEN old.extraction_key = '' THEN 'no answer yet' ELSE 'evidence' END AS why"""
_STANDS = """quote = substring(CASE WHEN kind = 'review' THEN reviews.text WHEN ref = 'title'
    THEN items.title ELSE items.description END, "start" + 1, "end" - "start")"""
_QUOTES = f"""
    quotes AS (SELECT persona_id, item_id, unnest(evidence, recursive := true) FROM personas WHERE status = 'current'),
    standing AS (
        SELECT persona_id, quotes.item_id, bool_and(coalesce({_STANDS}, false)) AS stands FROM quotes
        LEFT JOIN reviews ON kind = 'review' AND review_id = ref AND reviews.item_id = quotes.item_id
        LEFT JOIN items ON kind = 'metadata' AND items.item_id = quotes.item_id
        GROUP BY persona_id, quotes.item_id
    )
"""
_METADATA = "coalesce(title, ''), coalesce(creator, ''), coalesce(description, ''), array_to_string(categories, ',')"


def reviews_to_read(
    warehouse: Warehouse, version: str, of: Sequence[ReviewsOf] = ("item_reviews", "user_histories")
) -> tuple[pa.Table, pa.Table]:
    """Find reviews that need aspects: those in evidence, the interactions in histories, or none, by `of`.

    Returns rows of `review_aspects` still valid, and reviews to extract as review_id, user_id, item_id, rating, title,
    text, extraction_key, why: new, another prompt, model or code, other evidence, no answer yet.
    """
    ids = " UNION ".join(["SELECT NULL::VARCHAR AS review_id", *(_IDS[table] for table in of)])
    key = _KEY.format(parts="rating, coalesce(title, ''), text")
    wanted = f"""
        WITH wanted AS ({ids}), keyed AS (
            SELECT review_id, user_id, item_id, rating, title, text, {key} AS extraction_key
            FROM reviews SEMI JOIN wanted USING (review_id)
        )
    """
    return _split(
        warehouse, wanted, "review_aspects", ["review_id"], ["reviews", "item_reviews", "user_histories"], version
    )


def items_to_summarise(warehouse: Warehouse, version: str) -> tuple[pa.Table, pa.Table]:
    """Return rows of `item_summaries` still valid, and items to summarise with metadata, evidence, extraction_key and why.

    Reviews count only where there is no title: a summary from metadata does not change with them.
    """
    evidence = f"CASE WHEN title IS NULL THEN {_EVIDENCE} ELSE '' END"
    keyed = f"""
        WITH keyed AS (
            SELECT item_id, title, creator, description, categories, evidence,
                   {_KEY.format(parts=f"{_METADATA}, {evidence}")} AS extraction_key
            FROM items JOIN item_reviews USING (item_id)
        )
    """
    return _split(warehouse, keyed, "item_summaries", ["item_id"], ["items", "item_reviews"], version)


def items_to_profile(
    warehouse: Warehouse, version: str, parent: pa.Table, refresh_share: float
) -> tuple[pa.Table, pa.Table]:
    """Return rows of the parent release's `item_personas` that stay unchanged, and items to extract personas for.

    The items come with metadata, summary, evidence, aspects, extraction_key and why. An item no longer in the catalogue
    is in neither. An item whose evidence has moved little stays too: by no more than `refresh_share`, counted as 1 -
    Jaccard of the ids of its evidence reviews and of those at its last extraction, made with the same version, as long
    as every quote is still verbatim.
    """
    keyed = f"""
        WITH chosen AS (
            SELECT item_id, unnest(evidence).review_id AS review_id FROM item_reviews
        ), read AS (
            SELECT item_id, list(review_aspects ORDER BY review_id) AS aspects
            FROM review_aspects SEMI JOIN chosen USING (item_id, review_id) GROUP BY item_id
        ), keyed AS (
            SELECT item_id, title, creator, description, categories, summary, evidence, aspects,
                   list_transform(evidence, lambda e: e.review_id) AS ids,
                   {_KEY.format(parts=f"coalesce(summary, ''), {_METADATA}, {_EVIDENCE}, {_ASPECTS}")} AS extraction_key
            FROM items JOIN item_reviews USING (item_id) LEFT JOIN item_summaries USING (item_id)
            LEFT JOIN read USING (item_id)
        ), {_QUOTES.strip()}, made AS (
            SELECT item_id, any_value(extracted_from) AS old, bool_and(coalesce(stands, false)) AS stands
            FROM personas LEFT JOIN standing USING (persona_id, item_id)
            WHERE status = 'current' AND extractor_version = $version GROUP BY item_id
        ), moved AS (
            SELECT item_id, stands, 1 - len(list_intersect(ids, old)) / len(list_distinct(list_concat(ids, old))) AS moved
            FROM keyed JOIN made USING (item_id) WHERE len(ids) > 0
        ), answered AS (
            SELECT DISTINCT item_id FROM personas JOIN keyed USING (item_id, extraction_key) WHERE status = 'current'
            UNION SELECT item_id FROM moved WHERE stands AND $refresh_share > 0 AND moved <= $refresh_share
        )
    """
    tables = ["items", "item_reviews", "item_summaries", "review_aspects", "reviews"]
    columns = ", ".join(load_contract("item_personas").names)
    ask = f"{keyed} SELECT %s ORDER BY item_id"
    parameters = {"version": version, "refresh_share": refresh_share}
    unchanged = ask % f"{columns} FROM personas SEMI JOIN answered USING (item_id)"
    before = "(SELECT DISTINCT ON (item_id) * FROM personas WHERE status = 'current' ORDER BY item_id, persona_id)"
    changed = (
        ask
        % f"keyed.* EXCLUDE (ids), {_WHY} FROM keyed ANTI JOIN answered USING (item_id) LEFT JOIN {before} AS old USING (item_id)"
    )
    return (
        warehouse.query(unchanged, tables, parameters, personas=parent),
        warehouse.query(changed, tables, parameters, personas=parent),
    )


def still_verbatim(warehouse: Warehouse, personas: pa.Table) -> set[str]:
    """Ids of the current personas whose quotes are still in their sources, word for word."""
    found = warehouse.query(
        f"WITH {_QUOTES} SELECT persona_id FROM standing WHERE stands", ["reviews", "items"], personas=personas
    )
    return set(found["persona_id"].to_pylist())


def vanished(warehouse: Warehouse, parent: pa.Table, as_of: date) -> pa.Table:
    """Retire the parent release's personas of items no longer in the catalogue."""
    columns = ", ".join(load_contract("item_personas").names)
    return warehouse.query(
        f"SELECT {columns} FROM (SELECT * REPLACE ('retired' AS status, 0 AS position, "
        "coalesce(retired_as_of, $as_of::DATE) AS retired_as_of) FROM parent ANTI JOIN items USING (item_id))",
        ["items"],
        {"as_of": as_of.isoformat()},
        parent=parent,
    )


def _split(
    warehouse: Warehouse, keyed: str, answers: str, key: list[str], tables: list[str], version: str
) -> tuple[pa.Table, pa.Table]:
    using = ", ".join((*key, "extraction_key"))
    parameters: dict[str, Any] = {"version": version}
    columns = ", ".join(load_contract(answers).names)
    answered = f"{keyed} SELECT {columns} FROM {answers} SEMI JOIN keyed USING ({using}) ORDER BY {key[0]}"
    open_ = f"""
        {keyed} SELECT keyed.*, {_WHY} FROM keyed LEFT JOIN {answers} AS old USING ({", ".join(key)})
        WHERE keyed.extraction_key IS DISTINCT FROM old.extraction_key ORDER BY {key[0]}
    """
    return (
        warehouse.query(answered, [answers, *tables], parameters),
        warehouse.query(open_, [answers, *tables], parameters),
    )
