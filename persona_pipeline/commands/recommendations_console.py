"""Print recommendations and their explanations, as text for a terminal or as JSON for a program."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from persona_pipeline.core.contribution_kinds import ContributionKind
from persona_pipeline.core.terminal import counted, one_line, paragraph
from persona_pipeline.serving.reader import Recommendations
from persona_pipeline.serving.records import (
    METADATA_PERSONA,
    UNKNOWN_USER,
    UNUSABLE_HISTORY,
    Contribution,
    Quote,
    Recommendation,
    Why,
)

_FALLBACKS = {
    METADATA_PERSONA: "known by its own description alone",
    UNUSABLE_HISTORY: "no usable history to recommend from; what most people like",
    UNKNOWN_USER: "no history to recommend from; what most people like",
}
_BAR = 24


def show_top(recommendations: Recommendations, user_id: str, k: int, console: Console) -> None:
    """Print a user's recommendations; the default list where the user has none."""
    rows = recommendations.top(user_id, k)
    cold = next((row.recommendation_source for row in rows if row.recommendation_source != METADATA_PERSONA), "")
    if cold in (UNUSABLE_HISTORY, UNKNOWN_USER):
        _print(console, Text.assemble(one_line(user_id), f": {_FALLBACKS[cold]}", style="dim"))
    for row in rows:
        fallback = f"  {_FALLBACKS[METADATA_PERSONA]}" if row.recommendation_source == METADATA_PERSONA else ""
        title = one_line(row.item_title or row.item_id)
        about = Text.assemble(one_line(row.item_id), f"  {row.score:.3f}{fallback}", style="dim")
        _print(console, Text.assemble((f"{row.rank:>3}  ", "bold"), (title.plain, "bold"), "  ", about))
        _print(console, Text.assemble("     ", one_line(row.explanation, 1_000)))


def show_why(recommendations: Recommendations, user_id: str, item_id: str, console: Console) -> None:
    """Print the sources of a recommendation: persona, shares, quotes, reviews, extractor, release."""
    found = recommendations.why(user_id, item_id)
    title = one_line(found.item_title or found.item_id).plain
    place = f"place {found.rank}" if found.rank else "not in the list"
    _print(console, Text.assemble((title, "bold"), "  ", (f"{found.item_id}  {place}  {found.score:.3f}", "dim")))
    if found.ineligible:
        _print(console, Text.assemble("not recommended: ", one_line(found.ineligible), style="red"))
    if found.recommendation_source in _FALLBACKS:
        _print(console, Text(_FALLBACKS[found.recommendation_source], "dim"))
    _print(console, one_line(found.explanation, 1_000))
    _persona(found, console)
    _heading(console, "The score")
    _shares(found.contributions, console)
    _heading(console, "In their words" if found.persona.support else "In the seller's words")
    for quote in found.quotes:
        _quote(quote, console)
    if found.objections:
        _heading(console, "Worth knowing")
    for objection in found.objections:
        _print(
            console,
            Text.assemble(one_line(objection.rationale), (f"  {counted(objection.support, 'reviewer')}", "dim")),
        )
        for quote in objection.quotes:
            _quote(quote, console)
    _heading(console, "Where it comes from")
    persona = found.persona
    by = [f"persona {persona.persona_id}", f"by {persona.persona_source} {persona.extractor_version}"]
    by += [f"model {persona.model}"] if persona.model else []
    by += [f"prompts {persona.prompt_pack}"] if persona.prompt_pack else []
    _print(console, one_line(", ".join(by), 1_000))
    _print(console, one_line(f"encoder {found.encoder_id} on {found.base_model}", 1_000))
    _print(console, one_line(f"release {found.release_id}, reviews before {found.as_of}", 1_000))
    if persona.request is not None:
        _heading(console, "What the model was asked")
        _print(console, paragraph(persona.request.system, 4_000))
        _print(console, paragraph(persona.request.prompt, 4_000))
        _heading(console, "What it answered")
        _print(console, paragraph(persona.request.answer, 4_000))


def as_json(answer: Why | Sequence[Recommendation]) -> str:
    """Serialise one object, or an array of them, as JSON; dates and times in ISO 8601."""
    values = asdict(answer) if isinstance(answer, Why) else [asdict(row) for row in answer]
    return json.dumps(values, default=_iso, ensure_ascii=False)


def _persona(found: Why, console: Console) -> None:
    persona = found.persona
    stars = "" if persona.mean_rating is None else f", {persona.mean_rating:.1f} stars"
    rests = f"{counted(persona.support, 'reviewer')}{stars}" if persona.support else "the item's description"
    _heading(console, "The persona")
    _print(console, Text.assemble(one_line(persona.name), (f"  rests on {rests}", "dim")))
    _print(console, one_line(persona.description))
    if found.margin is not None and found.runner_up:
        lead = f"nearer by {found.margin:.3f} than the item's next, “"
        _print(console, Text.assemble(lead, one_line(found.runner_up), "”", style="dim"))


def _shares(contributions: Sequence[Contribution], console: Console) -> None:
    largest = max((abs(share.share) for share in contributions), default=0.0) or 1.0
    for share in contributions:
        if share.kind == ContributionKind.INTERACTION:
            did = "you reviewed " if share.review_id else "you met, without a review, "
            about = Text.assemble(did, one_line(share.item_title or share.item_id or "an item"))
            about.append(f"  {share.review_id}" if share.review_id else "", "dim")
        else:
            about = Text(ContributionKind.label_of(share.kind))
        length = round(_BAR * abs(share.share) / largest)
        bar = Text(f"{'█' * length:<{_BAR}}  ", "red" if share.share < 0 else "cyan")
        _print(console, Text.assemble(f"{share.share:>7.3f}  ", bar if console.is_terminal else "", about))


def _quote(quote: Quote, console: Console) -> None:
    _print(console, Text.assemble("“", one_line(quote.span.quote, 1_000), "”", style="italic"))
    if quote.text is None or quote.reviewed_at is None:
        _print(console, Text.assemble(f"  {quote.span.kind} ", one_line(quote.span.ref), style="dim"))
        return
    day = datetime.fromtimestamp(quote.reviewed_at.timestamp(), UTC).date()
    about = Text.assemble("  review ", one_line(quote.span.ref), f", {quote.rating:g} stars, {day}: ", style="dim")
    _print(console, about.append_text(paragraph(quote.text, 600)))


def _heading(console: Console, text: str) -> None:
    console.print()
    _print(console, Text(text, "bold cyan"))


def _print(console: Console, line: Text) -> None:
    """Print a line unchanged: a terminal wraps it, a pipe gets it whole."""
    console.print(line, soft_wrap=True)


def _iso(value: object) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"no JSON for {type(value).__name__}")
