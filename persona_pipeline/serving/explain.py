"""Trace a recommendation to its sources: score shares, persona, quotes, reviews, prompt and model, release."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from persona_pipeline.core.contribution_kinds import ContributionKind
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.item_titles import item_title
from persona_pipeline.score.explanations import QUOTES, explanation, of_ones_own, quoted
from persona_pipeline.serving.online import Nearest
from persona_pipeline.serving.records import (
    METADATA_PERSONA,
    PERSONA,
    Contribution,
    LlmRequest,
    Objection,
    Persona,
    Quote,
    Span,
    Why,
)
from persona_pipeline.serving.release_snapshot import ReleaseSnapshot

Row = dict[str, Any]


def why(snapshot: ReleaseSnapshot, user_id: str, item_id: str) -> Why:
    """Implement `Recommendations.why`."""
    online = snapshot.online
    personas = _personas(snapshot, item_id)
    if not online.known(item_id) or not personas:
        raise PipelineError(f"item {item_id}: it has no persona in release {snapshot.release.release_id}")
    usable = online.usable(user_id)
    nearest = online.nearest(user_id, item_id) if usable else Nearest(next(iter(personas)), None, None)
    persona = personas[nearest.persona_id]
    listed = next((row for row in snapshot.top(user_id) if row.item_id == item_id), None)
    score = listed.score if listed else float(online.scores(user_id, [item_id])[0])
    if not usable:
        contributions: tuple[Contribution, ...] = (Contribution(ContributionKind.POPULARITY, None, None, score),)
    elif listed:
        contributions = listed.contributions
    else:
        told = online.told(user_id, item_id)["contributions"][0].as_py()
        contributions = tuple(Contribution(**share) for share in told)
    titles = _titles(snapshot, {item_id, *(share.item_id for share in contributions if share.item_id)})
    contributions = tuple(replace(share, item_title=titles.get(share.item_id or "")) for share in contributions)
    source = METADATA_PERSONA if persona["persona_source"] == "metadata" else PERSONA
    return Why(
        user_id=user_id,
        item_id=item_id,
        item_title=titles.get(item_id),
        rank=listed.rank if listed else None,
        score=score,
        explanation=listed.explanation if listed else _explanation(snapshot, persona, contributions),
        recommendation_source=source if usable else snapshot.source(user_id),
        persona=_persona(snapshot, persona),
        margin=nearest.margin,
        runner_up=personas[nearest.runner_up]["name"] if nearest.runner_up else None,
        contributions=contributions,
        quotes=_quotes(snapshot, persona["evidence"]),
        objections=tuple(
            Objection(row["name"], row["preference_rationale"], row["support"], _quotes(snapshot, row["evidence"]))
            for row in personas.values()
            if row["stance"] == "dislikes"
        ),
        encoder_id=snapshot.release.encoder_id,
        base_model=online.encoder.base_model,
        release_id=snapshot.release.release_id,
        as_of=snapshot.release.as_of,
        ineligible=snapshot.eligibility.reasons(user_id, [item_id])[0],
    )


def _personas(snapshot: ReleaseSnapshot, item_id: str) -> dict[str, Row]:
    """The item's current personas by id, most supported first."""
    rows = snapshot.table("item_personas").rows("item_id", [item_id]).to_pylist()
    current = [row for row in rows if row["status"] == "current"]
    return {row["persona_id"]: row for row in sorted(current, key=lambda row: row["position"])}


def _persona(snapshot: ReleaseSnapshot, row: Row) -> Persona:
    extraction = snapshot.config.get("extraction", {})
    llm = extraction.get("llm", {}) if row["persona_source"] == "llm" else {}
    call = _call(snapshot, row["request_key"])
    base = snapshot.online.encoder.base_model if row["persona_source"] == "embedded" else None
    return Persona(
        persona_id=row["persona_id"],
        name=row["name"],
        description=row["description"],
        rationale=row["preference_rationale"],
        support=row["support"],
        mean_rating=row["mean_rating"],
        persona_source=row["persona_source"],
        stance=row["stance"],
        extractor_version=row["extractor_version"],
        model=call["model"] if call else base,
        prompt_pack=llm.get("prompt_pack"),
        request=LlmRequest(call["request_key"], call["system"], call["prompt"], call["output"]) if call else None,
    )


def _call(snapshot: ReleaseSnapshot, request_key: str | None) -> Row | None:
    """The row of `llm_calls`; None without a key, or where the response cache is another warehouse's."""
    if request_key is None or not snapshot.has("llm_calls"):
        return None
    found: list[Row] = snapshot.table("llm_calls").rows("request_key", [request_key]).to_pylist()
    return found[0] if found else None


def _explanation(snapshot: ReleaseSnapshot, persona: Row, contributions: Sequence[Contribution]) -> str:
    source = persona["persona_source"]
    quotes = quoted(source, persona["stance"], persona["evidence"][:QUOTES])
    own = of_ones_own(_same_said(snapshot, persona["topic"], contributions))
    return explanation(source, persona["preference_rationale"], _largest(contributions), quotes, own)


def _largest(contributions: Iterable[Contribution]) -> str:
    """Kind with the largest total share; the user's interactions and the item's other personas count as one kind."""
    sums: dict[str, float] = {}
    for share in contributions:
        known = ContributionKind.of(share.kind)
        kind = known.reason_kind if known else share.kind
        sums[kind] = sums.get(kind, 0.0) + share.share
    return max(sorted(sums), key=lambda kind: sums[kind], default="")


def _same_said(snapshot: ReleaseSnapshot, topic: str | None, contributions: Iterable[Contribution]) -> str | None:
    """Title of the user's own item with the largest share, among items of which the user praises the persona's topic."""
    spoke = [
        (c.review_id, c.item_id)
        for c in contributions
        if c.kind == ContributionKind.INTERACTION and c.share > 0 and c.review_id and c.item_id
    ]
    if not topic or not spoke:
        return None
    rows = snapshot.table("review_aspects").rows(
        "review_id", [review_id for review_id, _ in spoke], ["review_id", "evidence"]
    )
    saying = {
        row["review_id"]
        for row in rows.to_pylist()
        if any(span["stance"] == "likes" and span["topic"] == topic for span in row["evidence"])
    }
    items = snapshot.table("items").rows("item_id", [item_id for _, item_id in spoke], ["item_id", "title"]).to_pylist()
    titles = {row["item_id"]: row["title"] for row in items if (row["title"] or "").strip()}
    return next((titles[item_id] for review_id, item_id in spoke if review_id in saying and item_id in titles), None)


def _titles(snapshot: ReleaseSnapshot, item_ids: set[str]) -> dict[str, str]:
    """Titles of items; items without a title and a summary are absent."""
    rows = snapshot.table("items").rows("item_id", item_ids, ["item_id", "title"]).to_pylist()
    titles = {row["item_id"]: row["title"] for row in rows if row["title"] is not None}
    untitled = item_ids - set(titles)
    if untitled:
        summaries = snapshot.table("item_summaries").rows("item_id", untitled, ["item_id", "summary"]).to_pylist()
        told = {row["item_id"]: item_title(None, row["summary"]) for row in summaries}
        titles |= {item_id: title for item_id, title in told.items() if title}
    return titles


def _quotes(snapshot: ReleaseSnapshot, evidence: list[Row]) -> tuple[Quote, ...]:
    refs = {span["ref"] for span in evidence if span["kind"] == "review"}
    columns = ["review_id", "rating", "reviewed_at", "text"]
    rows: pa.Table = snapshot.table("reviews").rows("review_id", refs, columns) if refs else pa.table({})
    reviews = {row.pop("review_id"): row for row in rows.to_pylist()}
    nothing = {"rating": None, "reviewed_at": None, "text": None}
    return tuple(
        Quote(Span(**span), **(reviews.get(span["ref"], nothing) if span["kind"] == "review" else nothing))
        for span in evidence
    )
