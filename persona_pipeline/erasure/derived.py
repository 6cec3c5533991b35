"""Mend what was made from the words of several people, where one of them is erased: a rule for each table that has such columns.

Until the next night makes it anew: that night extracts the personas of these items again, and all that follows from them.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.core.contribution_kinds import ContributionKind
from persona_pipeline.core.item_titles import item_title
from persona_pipeline.erasure.traces import Review, Traces
from persona_pipeline.score.explanations import NOTHING, QUOTE, RESTS_ON, inert
from persona_pipeline.sources.reasons import UNREADABLE

Row = dict[str, Any]

_OWN = re.compile(r"You wrote the same of “[^“”]*”\.$")
_SPEAKER = re.compile(r"(?:Reviewers write|Its description says): *$")


class Rule:
    """What erasing people does to a table beyond what its contract says; `columns` tell which rows."""

    columns: frozenset[str] = frozenset()
    keeps_places: bool = False
    """Whether a row that goes leaves an empty one in its place, see `emptied`."""

    def touches(self, rows: pa.Table, traces: Traces) -> np.ndarray:
        """Which rows change, beyond those that hold an id: (n,) bool."""
        return np.zeros(rows.num_rows, bool)

    def cleaned(self, before: Row, row: Row, traces: Traces) -> Row:
        """The row as it will be, from the row as it was and as it is without what is theirs."""
        return row

    def emptied(self, row: Row) -> Row:
        """What takes the place of a row that goes."""
        raise NotImplementedError


class UnreadableRecords(Rule):
    """Nothing is kept of records that could not be read: what was cut off may have said whose they are."""

    columns = frozenset({"reason", "detail"})

    def touches(self, rows: pa.Table, traces: Traces) -> np.ndarray:
        """Records without fields, of whoever."""
        told = pc.and_(pc.is_in(rows["reason"], pa.array(UNREADABLE)), pc.is_valid(rows["detail"]))
        return np.asarray(told.to_numpy(zero_copy_only=False), bool)

    def cleaned(self, before: Row, row: Row, traces: Traces) -> Row:
        """Where it stands, and why it was refused."""
        return {**row, "detail": None if row["reason"] in UNREADABLE else row["detail"]}


class ParsedRecords(UnreadableRecords):
    """A record of theirs is one of somebody erased, as it would be parsed now: a file's records are counted, and stay as many."""

    keeps_places = True

    def emptied(self, row: Row) -> Row:
        """Where it stood, and nothing of it."""
        place = ("parsed_in", "parsed_file", "source_line", "part")
        return {name: value if name in place else None for name, value in row.items()} | {"reason": "erased"}


class ItemPersonas(Rule):
    """A persona that nobody else supports is retired, without any text; any other loses their quotes, and is made anew."""

    columns = frozenset({"evidence", "extracted_from", "name", "description", "preference_rationale", "status"})

    def cleaned(self, before: Row, row: Row, traces: Traces) -> Row:
        """Retire, or take away their share of the support."""
        # Without a key and without reviews it was made from, the next night makes the item's personas again.
        current = row["status"] == "current"
        remade = {"extraction_key": "", "extracted_from": []} if current else {}
        lost = {span["ref"] for span in before["evidence"]} - {span["ref"] for span in row["evidence"]}
        if lost and not any(span["kind"] == "review" for span in row["evidence"]):
            empty: Row = {"name": "", "description": "", "preference_rationale": "", "evidence": [], "topic": None}
            ended = {"status": "retired", "position": 0, "retired_as_of": traces.day} if current else {}
            return {**row, **remade, **empty, **ended, "support": 0, "mean_rating": None, "request_key": None}
        for text in ("name", "description", "preference_rationale"):
            if traces.mentions.quoted_in(row[text]):
                row[text] = ""
        if lost:
            others = len({span["ref"] for span in row["evidence"] if span["kind"] == "review"})
            stars = [review.rating for ref in lost if (review := traces.reviews[ref])]
            row["mean_rating"] = _mean_without(row["mean_rating"], row["support"], stars)
            row["support"] = max(row["support"] - len(lost), others)
        return {**row, **remade}


class ItemReviews(Rule):
    """The counts of an item are those of the reviews that stay."""

    columns = frozenset({"item_id", "last_reviewed_at"})

    def touches(self, rows: pa.Table, traces: Traces) -> np.ndarray:
        """Items that somebody erased had reviewed by then, in words or in stars alone."""
        told = zip(rows["item_id"].to_pylist(), rows["last_reviewed_at"].to_pylist(), strict=True)
        return np.fromiter((bool(_theirs(traces, item, last)) for item, last in told), bool, rows.num_rows)

    def cleaned(self, before: Row, row: Row, traces: Traces) -> Row:
        """Count without the reviews that were there by the newest one."""
        last = before["last_reviewed_at"]
        theirs = _theirs(traces, row["item_id"], last)
        mean = _mean_without(row["mean_rating"], row["review_count"], [review.rating for review in theirs])
        row |= {"review_count": max(row["review_count"] - len(theirs), len(row["evidence"])), "mean_rating": mean}
        if any(review.reviewed_at == last for review in theirs):
            row["last_reviewed_at"] = max((e["reviewed_at"] for e in row["evidence"]), default=None)
        return row


class ItemSummaries(Rule):
    """A summary made from their words alone, or that has some, goes."""

    columns = frozenset({"item_id", "summary_source", "summary"})

    def touches(self, rows: pa.Table, traces: Traces) -> np.ndarray:
        """Summaries of the items that `collect` found."""
        items = pc.is_in(rows["item_id"], pa.array(sorted(traces.untitled), pa.string()))
        told = pc.and_(items, pc.equal(rows["summary_source"], "reviews"))
        return np.asarray(told.to_numpy(zero_copy_only=False), bool)

    def cleaned(self, before: Row, row: Row, traces: Traces) -> Row:
        """As of an item of which nothing is known; the next night asks again."""
        return {**row, "summary": "", "summary_source": "none", "extraction_key": ""}


class Recommended(Rule):
    """A list keeps its items, places and scores; what it says of them is said without the erased."""

    columns = frozenset({"persona_id", "item_id", "item_title", "evidence"})

    def touches(self, rows: pa.Table, traces: Traces) -> np.ndarray:
        """Rows that rest on a persona which was retired or lost its words, and titles taken from a summary that goes."""
        personas = pa.array(sorted({*traces.retired, *traces.rewritten}), pa.string())
        rests = pc.is_in(rows["persona_id"], personas)
        titles = [title for told in traces.untitled.values() for title in told]
        named = pc.and_(
            pc.is_in(rows["item_id"], pa.array(sorted(traces.untitled), pa.string())),
            pc.is_in(rows["item_title"], pa.array(sorted(set(titles)), pa.string())),
        )
        return np.asarray(pc.or_(rests, named).to_numpy(zero_copy_only=False), bool)

    def cleaned(self, before: Row, row: Row, traces: Traces) -> Row:
        """Tell the reason anew from what is left: the persona's, if its words stand, then the quotes that stand."""
        persona = row["persona_id"]
        quoted = any(span["kind"] == "review" for span in before["evidence"])
        alone = quoted and not any(span["kind"] == "review" for span in row["evidence"])
        stands = persona not in traces.retired and persona not in traces.rewritten and not alone
        if not stands:
            row["persona_name"] = traces.rewritten.get(persona, "")
        if not stands or len(row["evidence"]) < len(before["evidence"]):
            row["explanation"] = _told(before, row, stands)
        if row["item_title"] in traces.untitled.get(row["item_id"], ()):
            row["item_title"] = None
        return row


def title_from(summary: str) -> str | None:
    """The title that lists take from a summary of an item without one."""
    return item_title(None, summary)


def _told(before: Row, row: Row, stands: bool) -> str:
    """The explanation without the erased's quotes, and without the persona's reason unless that stands."""
    text = before["explanation"]
    own = _OWN.search(text)
    told = text[: own.start()] if own else text
    shown = [f"“{inert(span['quote'], QUOTE)}”" for span in before["evidence"]]
    left = [f"“{inert(span['quote'], QUOTE)}”" for span in row["evidence"]]
    quotes = [quote for quote in dict.fromkeys(left) if quote in told]
    start = min((told.index(quote) for quote in shown if quote in told), default=len(told))
    opening, speaker = told[:start].rstrip(), _SPEAKER.search(told[:start])
    if speaker:
        opening = opening[: speaker.start()].rstrip()
    if not stands:
        opening = RESTS_ON.get(_largest(row.get("contributions")), "")
    elif not quotes and opening.endswith(":"):
        opening = f"{opening.removesuffix(':')}."
    said = " ".join(quotes)
    if speaker and said:
        said = f"{speaker.group().strip()} {said}"
    return " ".join(part for part in (opening, said, own.group() if own else "") if part) or NOTHING


def _largest(contributions: Iterable[Mapping[str, Any]] | None) -> str:
    """Kind with the largest total share; `liked` of the list that has none."""
    if contributions is None:
        return "liked"
    sums: dict[str, float] = {}
    for share in contributions:
        known = ContributionKind.of(share["kind"])
        kind = str(known.reason_kind if known else share["kind"])
        sums[kind] = sums.get(kind, 0.0) + share["share"]
    return max(sorted(sums), key=lambda kind: sums[kind], default="")


def _mean_without(mean: float | None, count: int, stars: list[float]) -> float | None:
    left = count - len(stars)
    if mean is None or left <= 0:
        return None if left <= 0 else mean
    return round(min(max((mean * count - sum(stars)) / left, 1.0), 5.0), 6)


def _theirs(traces: Traces, item: str, last: datetime | None) -> list[Review]:
    """Erased reviews of an item that were there by a time."""
    return [review for review in traces.by_item.get(item, ()) if last and review.reviewed_at <= last]


RULES: Mapping[str, Rule] = {
    "parsed_reviews": ParsedRecords(),
    "rejected_reviews": UnreadableRecords(),
    "rejected_interactions": UnreadableRecords(),
    "item_personas": ItemPersonas(),
    "item_reviews": ItemReviews(),
    "item_summaries": ItemSummaries(),
    "user_item_topk": Recommended(),
    "default_topk": Recommended(),
}
