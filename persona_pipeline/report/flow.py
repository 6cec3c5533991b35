"""Tabulate the data flow of a run by stage, from job summaries and row counts: rows in and out, recomputed, seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from persona_pipeline.contracts import load_contract
from persona_pipeline.report.tables import Row, RunTables

Summaries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A task of the DAG: the tables it writes, and the counts of its summary.

    `done` names the summary's count of recomputed units, `of` its count of all units, `unit` their noun; a stage
    without them computes everything anew and commits the differences.
    """

    name: str
    makes: tuple[str, ...]
    done: str = ""
    of: str = ""
    unit: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables it reads, from its contract."""
        return load_contract(self.name).reads


STAGES = (
    Stage("interactions", ("interactions",)),
    Stage("reviews", ("reviews", "items")),
    Stage("item_reviews", ("item_reviews",)),
    Stage("user_histories", ("user_histories",)),
    Stage("candidates", ("candidates",)),
    Stage("blocks", ("blocks",)),
    Stage("review_aspects", ("review_aspects",), "extracted", "reviews", "reviews"),
    Stage("item_summaries", ("item_summaries",), "extracted", "items", "items"),
    Stage("item_personas", ("item_personas",), "extracted", "items", "items"),
    Stage("text_embeddings", ("text_embeddings",), "embedded", "texts", "texts"),
    Stage("persona_choices", ("persona_choices",), "extracted", "pairs", "pairs"),
    Stage("training_pairs", ("training_pairs",)),
    Stage("encoders", ("encoders",)),
    Stage("persona_vectors", ("persona_vectors",), "encoded", "vectors", "vectors"),
    Stage("user_vectors", ("user_vectors",), "encoded", "vectors", "vectors"),
    Stage("user_item_topk", ("user_item_topk",)),
    Stage("default_topk", ("default_topk",)),
    Stage("releases", ()),
)


@dataclass(frozen=True, slots=True)
class Flow:
    """One line of the flow table. None: not counted by this stage."""

    stage: str
    ran: bool
    rows_in: list[tuple[str, int]]
    rows_out: list[tuple[str, int]]
    inserted: int | None
    updated: int | None
    deleted: int | None
    redone: str
    reused: str
    seconds: float | None
    share_of_time: float


def count_rows(tables: RunTables) -> dict[str, int]:
    """Count the rows of every table that a stage reads or writes, and of rejected rows."""
    named = sorted({t for stage in STAGES for t in (*stage.reads, *stage.makes)} | {"rejected_reviews", "quarantine"})
    sql = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS n FROM {table}" for table in named)
    return {row["name"]: row["n"] for row in tables.rows(sql, named)}


def run_counts(summaries: Summaries, release_row: Row) -> Summaries:
    """Select the summaries the page is based on: not the report's own, and not that of another attempt at the release."""
    # A refused release leaves no summary, so one that is there belongs to an earlier attempt.
    this_release = summaries.get("releases", {}).get("release_id") == release_row["release_id"]
    left_out = {"report"} | (set() if this_release else {"releases"})
    return {job: summary for job, summary in summaries.items() if job not in left_out}


def flow(summaries: Summaries, counts: Mapping[str, int], release_row: Row) -> list[Flow]:
    """Build the line of every stage, in DAG order."""
    longest = max((summary.get("seconds") or 0.0 for summary in summaries.values()), default=0.0)
    return [_line(stage, summaries.get(stage.name), counts, release_row, longest) for stage in STAGES]


def _line(
    stage: Stage, summary: Mapping[str, Any] | None, counts: Mapping[str, int], release_row: Row, longest: float
) -> Flow:
    concluded = stage.name == "releases"  # the row itself says so: a refusal leaves no summary
    found = summary or {}
    changes = [change for change in _changes(found) if not change["table"].startswith("rejected_")]
    inserted, updated, deleted = (
        sum(c[op] for c in changes) if changes else None for op in ("inserted", "updated", "deleted")
    )
    redone, reused = (release_row["verdict"], "") if concluded else _work(stage, found) if summary else ("", "")
    seconds = found.get("seconds")
    return Flow(
        stage=stage.name,
        ran=concluded or summary is not None,
        rows_in=_read(stage, found, counts),
        rows_out=[(table, counts[table]) for table in stage.makes],
        inserted=inserted,
        updated=updated,
        deleted=deleted,
        redone=redone,
        reused=reused,
        seconds=seconds,
        share_of_time=seconds / longest if seconds and longest else 0.0,
    )


def _read(stage: Stage, summary: Mapping[str, Any], counts: Mapping[str, int]) -> list[tuple[str, int]]:
    rows = {"reviews": "review lines", "interactions": "event lines", "candidates": "rows", "blocks": "rows"}
    named = rows.get(stage.name)
    if named:
        lines = [(named, summary.get("lines")), ("item lines", summary.get("item_lines"))]
        return [(name, n) for name, n in lines if n]
    return [(table, counts[table]) for table in stage.reads]


def _work(stage: Stage, summary: Mapping[str, Any]) -> tuple[str, str]:
    if stage.name == "encoders":
        return ("trained", "") if summary.get("trained") else ("", "kept")
    if not stage.done or stage.done not in summary:
        return "all", ""
    done = summary[stage.done]
    left = summary.get(stage.of, done) - done
    return f"{done:,} {stage.unit}" if done else "none", f"{left:,} {stage.unit}" if left else "none"


def _changes(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Find every write a summary reports, under whichever name: `written` is a list, `candidate` a single one."""
    if summary.get("job") == "text_embeddings":  # the cache is appended to, in several commits that report nothing
        return [{"table": "text_embeddings", "inserted": summary.get("embedded", 0), "updated": 0, "deleted": 0}]
    values = [v for value in summary.values() for v in (value if isinstance(value, list) else [value])]
    return [v for v in values if isinstance(v, dict) and {"table", "inserted", "updated", "deleted"} <= v.keys()]
