"""Ingest the night's input: parse files that no run has parsed, and write `reviews`, `items` and what was set aside."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import functions as F

from persona_pipeline.config import PipelineConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.ingest.erased_people import erased_people
from persona_pipeline.ingest.parsed_files import write_reviews
from persona_pipeline.sources import reader
from persona_pipeline.sources.adapters import Adapter
from persona_pipeline.sources.eligibility import available_tonight, unavailable_counts
from persona_pipeline.sources.files import InputFile
from persona_pipeline.sources.holdout_file import COLUMN, check_holdout
from persona_pipeline.sources.input_state import (
    KnownFile,
    known_files,
    parser_key,
    pseudonyms,
    require_named_apart,
    require_parsed,
)
from persona_pipeline.sources.parsing import ParsingSettings
from persona_pipeline.sources.review_ids import read_ids
from persona_pipeline.sources.shapes import recognise
from persona_pipeline.sources.spam import mark_spam
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import let_back_since
from persona_pipeline.warehouse.spark_tables import SparkWarehouse

Row = dict[str, Any]


def ingest(
    tables: SparkWarehouse,
    run_id: str,
    source: Adapter,
    files: Mapping[str, Sequence[Row]],
    configuration: PipelineConfig,
    as_of: date,
) -> Row:
    """Write the tables of the task `reviews` and return its figures. `files` are the run's, by kind.

    Raises SourceError, with `rejected_reviews` written and nothing else, where more is refused than the configuration allows.
    """
    spark, config = tables.spark, configuration.reviews
    user_name = pseudonyms(config)
    settings = ParsingSettings(config.max_characters, user_name, erased_people(tables.files, user_name))
    # An erasure takes records out of what is parsed, and their files are parsed again for it; who is let back in is in none.
    key = parser_key(source, config, user_name, let_back_since(tables.files))
    before = tables.files.read("input_files").to_pylist()
    known = known_files(files["reviews"], key, before)
    listed, stale = _parsed(tables, run_id, known, before, source, settings, config.complete)
    later = _later(tables, listed, as_of)

    names = spark.createDataFrame(
        [(row["parsed_file"], row["name"]) for row in listed], "parsed_file string, source_file string"
    )
    parsed = tables.read("parsed_reviews").join(F.broadcast(names), "parsed_file")
    ids = read_ids(Path(files["withdrawn"][0]["path"])) if files["withdrawn"] else None
    withdrawn = None if ids is None else spark.createDataFrame(ids)
    withheld = spark.read.parquet(str(check_holdout(Path(config.withheld)))).select(COLUMN) if config.withheld else None
    night = reader.Night(parsed, as_of, withheld, withdrawn)

    rejected, items = night.rejected(), tables.empty("items")
    item_lines = 0
    if files["items"]:
        told = [
            InputFile(Path(row["path"]), row["name"], row["bytes"], recognise(Path(row["path"])))
            for row in files["items"]
        ]
        parsed_items = reader.read_items(spark, told, source, settings).persist()
        item_lines = parsed_items.count()
        items, aside = reader.items_and_rejected(parsed_items)
        rejected = rejected.unionByName(aside)
    written = [tables.replace("rejected_reviews", rejected.select(load_contract("rejected_reviews").names))]
    counts = {
        (row["input"], row["reason"]): row["n"]
        for row in tables.files.query(
            "SELECT input, reason, count(*) AS n FROM rejected_reviews GROUP BY ALL", ["rejected_reviews"]
        ).to_pylist()
    }
    lines = sum(row["records"] for row in listed)
    erased = sum(row["erased"] for row in listed)
    for kind, total in (("reviews", lines), ("items", item_lines)):
        reasons = {reason: n for (of, reason), n in counts.items() if of == kind}
        hint = _scale_hint(tables.files, source) if reasons.get("bad_rating") else ""
        hint += _time_hint(tables.files) if reasons.get("bad_timestamp") else ""
        reader.require_few_rejections(kind, total, reasons, config.max_rejected_share, hint)
    # By a hash: the id would go on naming the review of somebody who is erased.
    rows = mark_spam(night.rows(), config).withColumn("spam", F.substring(F.sha2("spam", 256), 1, 16))
    written.append(tables.replace("reviews", rows.select(load_contract("reviews").names), cheap=True))
    kept = tables.files.row_count("reviews", written[-1].version)
    met = tables.read("reviews").select("item_id").unionByName(tables.read("interactions").select("item_id"))
    described = items.select("item_id", "title", "creator", "categories", "description", "has_metadata")
    items = reader.with_reviewed_items(described, met)
    windows = [Path(row["path"]) for row in files["eligibility"]]
    rules = available_tonight(spark, items, windows, configuration.eligibility, as_of)
    written.append(tables.replace("items", rules.items))
    state = tables.files.replace(
        "input_files", pa.Table.from_pylist(listed, load_contract("input_files").arrow_schema())
    )
    written.append(state)
    if stale:
        tables.delete("parsed_reviews", f"parsed_file IN ({_listed(stale)})")
    ends = {
        "kept": kept,
        "set aside": sum(n for (of, _), n in counts.items() if of == "reviews"),
        "not_yet": later,
        **night.left_out(),
        "erased": erased,
    }
    spark.catalog.clearCache()  # what was computed once for several tables
    _require_all(lines, ends)
    return {
        "lines": lines,
        "item_lines": item_lines,
        **{name: ends[name] for name in ("not_yet", "withheld", "withdrawn", "erased")},
        "withdrawn_unknown": 0 if ids is None else _unknown(tables.files, ids),
        "files": len(listed),
        "files_parsed": sum(row["parsed_in"] == run_id for row in listed),
        "rejected": {f"{kind}.{reason}": n for (kind, reason), n in sorted(counts.items())},
        "eligibility": rules.figures,
        "unavailable": unavailable_counts(
            tables.files.read("items", ["unavailable_reason"], where="NOT available")["unavailable_reason"]
        ),
        "written": [result.as_dict() for result in written],
    }


def _parsed(
    tables: SparkWarehouse,
    run_id: str,
    known: Sequence[KnownFile],
    before: Sequence[Row],
    source: Adapter,
    settings: ParsingSettings,
    complete: bool,
) -> tuple[list[Row], set[str]]:
    """Parse the files that have to be; return rows of `input_files` for all that count, and what was parsed of others.

    Files are parsed in one commit. A night that died after it left what its successor takes as it is.
    """
    there = _counts(tables)
    fresh: dict[str, InputFile] = {}
    for one in known:
        found = there.get(one.parsed_file)
        if found is None or (one.row is not None and one.row["records"] != found["records"]):
            fresh[one.parsed_file] = replace(one.file, shape=one.file.shape or recognise(one.file.path))
    if fresh:
        if there.keys() & fresh.keys():
            tables.delete("parsed_reviews", f"parsed_file IN ({_listed(fresh)})")
        folder = Path(tables.files.path("parsed_reviews"))
        written = write_reviews(tables.spark, list(fresh.items()), source, settings, folder)
        tables.files.append_files("parsed_reviews", written, {"parsed_in": run_id})
        there |= _counts(tables, fresh)
    listed = []
    for one in known:
        file = fresh.get(one.parsed_file, one.file)
        old = None if one.parsed_file in fresh else one.row
        listed.append(
            {
                "name": one.file.name,
                "bytes": one.file.bytes,
                "digest": one.digest,
                "parsed_file": one.parsed_file,
                "format": old["format"] if old else file.shape.format if file.shape else None,
                "parsed_in": run_id,
                **_NOTHING,
                **there.get(one.parsed_file, {}),
            }
        )
    if not complete:
        digests = {row["name"]: row["digest"] for row in listed}
        require_named_apart([row for row in before if digests.get(row["name"], row["digest"]) != row["digest"]])
        earlier = [row for row in before if row["name"] not in digests]
        require_parsed([row for row in earlier if there.get(row["parsed_file"], _NOTHING)["records"] != row["records"]])
        # Counted anew: since they were parsed somebody may have been erased.
        listed += [{**row, **there.get(row["parsed_file"], {})} for row in earlier]
    return listed, there.keys() - {row["parsed_file"] for row in listed}


_NOTHING: Row = {"records": 0, "refused": 0, "erased": 0, "newest_at": None}


def _counts(tables: SparkWarehouse, parsed_files: Iterable[str] | None = None) -> dict[str, Row]:
    """What is parsed of some files, or of all, by file. One pass over short columns."""
    found = tables.files.query(
        "SELECT parsed_file, max(parsed_in) AS parsed_in, count(*) AS records, "
        "count(*) FILTER (reason <> 'erased') AS refused, count(*) FILTER (reason = 'erased') AS erased, "
        "max(reviewed_at) AS newest_at FROM parsed_reviews WHERE $every OR list_contains($some, parsed_file) GROUP BY parsed_file",
        ["parsed_reviews"],
        {"every": parsed_files is None, "some": sorted(parsed_files or ())},
    ).to_pylist()
    return {row.pop("parsed_file"): row for row in found}


def _later(tables: SparkWarehouse, listed: Sequence[Row], as_of: date) -> int:
    """Reviews that are not due: written on the night's day or later."""
    found = tables.files.query(
        "SELECT count(*) AS n FROM parsed_reviews WHERE reason IS NULL AND reviewed_at >= $day "
        "AND list_contains($some, parsed_file)",
        ["parsed_reviews"],
        {"day": datetime.combine(as_of, time(), UTC), "some": [row["parsed_file"] for row in listed]},
    )
    return int(found["n"][0].as_py())


def _require_all(lines: int, ends: Mapping[str, int]) -> None:
    """Raise PipelineError unless every record read is in exactly one place."""
    if lines != sum(ends.values()):
        told = ", ".join(f"{name} {n:,}" for name, n in ends.items())
        raise PipelineError(
            f"reviews: {lines:,} records were read and {sum(ends.values()):,} accounted for ({told}). This is a fault of "
            "this program, not of the input: nothing of this night is published"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(set(names)))


def _unknown(warehouse: Warehouse, ids: pa.Table) -> int:
    """How many of these ids no record has: a list of another shop, or ids that this source does not give."""
    sql = f"SELECT count(*) AS n FROM ids ANTI JOIN parsed_reviews USING ({COLUMN})"
    return int(warehouse.query(sql, ["parsed_reviews"], ids=ids)["n"][0].as_py())


def _time_hint(warehouse: Warehouse) -> str:
    """How timestamps look that were not understood, where they may be dates in a form that has to be told."""
    dates = "reason = 'bad_timestamp' AND regexp_matches(detail, '[0-9]+[./ -][0-9A-Za-z]+[./ -][0-9]+')"
    found = warehouse.query(f"SELECT min(detail) AS one FROM rejected_reviews WHERE {dates}", ["rejected_reviews"])
    one = found["one"][0].as_py()
    if one is None:
        return ""
    return f" If {one!r} is a date, say its form in reviews.time_format, for instance %d.%m.%Y."


def _scale_hint(warehouse: Warehouse, source: Adapter) -> str:
    """What ratings were found, where they look like those of another scale."""
    (found,) = warehouse.query(
        "SELECT min(TRY_CAST(detail AS DOUBLE)) AS low, max(TRY_CAST(detail AS DOUBLE)) AS high "
        "FROM rejected_reviews WHERE reason = 'bad_rating'",
        ["rejected_reviews"],
    ).to_pylist()
    low, high = found["low"], found["high"]
    if high is None:
        return ""
    lowest, highest = source.rating_scale
    if high > highest:
        likely = next((scale for scale in (10, 20, 100) if high <= scale), None)
        wanted = (
            f" If ratings go up to {likely}, say reviews.rating_scale: [1, {likely}] (or [0, {likely}])."
            if likely
            else ""
        )
    else:
        wanted = f" If {low:g} is a rating, say reviews.rating_scale: [{low:g}, {highest:g}]."
    return f" Ratings from {low:g} to {high:g} were found outside {lowest:g} to {highest:g}.{wanted}"
