"""Replay refusals: extract the subjects of `quarantine` rows again in a trial, and compare the outcomes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from persona_pipeline.core.terminal import counted, one_line
from persona_pipeline.extract.stages import Extracted
from persona_pipeline.extract.types import ASPECT_NAMES, Refusal, Stage
from persona_pipeline.extract_preview.trial import STAGES, ExtractionTrial, Subjects

Row = dict[str, Any]
Verdict = Literal["kept", "partly", "refused", "gone"]

_NONE: dict[Stage, str] = {"review_aspects": "no aspect", "item_summaries": "no summary", "item_personas": "no persona"}
_COLOURS: dict[Verdict, str] = {"kept": "green", "partly": "yellow", "refused": "red", "gone": "dim"}


@dataclass(frozen=True, slots=True)
class Replayed:
    """One replayed subject of one stage. `before` and `reasons` are the refusals then and now; `made` is the accepted output."""

    stage: Stage
    subject: str
    before: tuple[str, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    made: str
    detail: str


def subjects_of(refused: Sequence[Row]) -> Subjects:
    """Subjects of rows of `quarantine`, by stage."""
    return {stage: frozenset(row["subject_id"] for row in refused if row["stage"] == stage) for stage in STAGES}


def replayed(refused: Sequence[Row], trial: ExtractionTrial) -> list[Replayed]:
    """Compare one stage and subject each, in the order of the rows.

    A subject is `gone` where a night would no longer extract it: its review or item left the catalogue or the evidence.
    """
    before: dict[tuple[Stage, str], list[str]] = {}
    for row in refused:
        before.setdefault((row["stage"], row["subject_id"]), []).append(row["reason"])
    now: dict[tuple[Stage, str], list[Refusal]] = {}
    for stage, extracted in trial.extracted.items():
        for refusal, _ in extracted.refused:
            now.setdefault((stage, refusal.subject), []).append(refusal)
    asked = {stage: set(extracted.asked) for stage, extracted in trial.extracted.items()}
    made = {stage: _made(stage, extracted) for stage, extracted in trial.extracted.items()}
    found = []
    for (stage, subject), reasons in before.items():
        again = now.get((stage, subject), [])
        count, names = made[stage].get(subject, ("", ""))
        verdict: Verdict = "kept"
        if subject not in asked[stage]:
            verdict = "gone"
        elif again:
            verdict = "partly" if count else "refused"
        detail = "; ".join(refusal.detail for refusal in again) or names
        found.append(
            Replayed(
                stage, subject, tuple(reasons), verdict, tuple(r.reason for r in again), count or _NONE[stage], detail
            )
        )
    return found


def show_replayed(found: Sequence[Replayed], trial: ExtractionTrial, console: Console) -> None:
    """Print each subject, totals by the earlier reason, and the costs."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    for column, ratio in (("subject", None), ("was", None), ("now", None), ("detail", 1)):
        table.add_column(column, no_wrap=True, overflow="ellipsis", ratio=ratio)
    for stage in dict.fromkeys(one.stage for one in found):
        table.add_row(Text(stage, "bold"))
        for one in (one for one in found if one.stage == stage):
            said = [*([f"kept {one.made}"] if one.verdict in ("kept", "partly") else []), *one.reasons]
            now = Text("gone" if one.verdict == "gone" else ", ".join(said), _COLOURS[one.verdict])
            table.add_row(one_line(one.subject), ", ".join(one.before), now, one_line(one.detail))
    console.print(table)
    console.print()
    totals: dict[tuple[Stage, str], Counter[Verdict]] = {}
    for one in found:
        for reason in one.before:
            totals.setdefault((one.stage, reason), Counter())[one.verdict] += 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("stage", "was"):
        table.add_column(column, no_wrap=True)
    for verdict in get_args(Verdict):
        table.add_column(verdict, justify="right", style=_COLOURS[verdict])
    for (stage, reason), counts in sorted(totals.items()):
        table.add_row(stage, reason, *(f"{counts[verdict]:,}" for verdict in get_args(Verdict)))
    console.print(table)
    asked, cached, prompt, reply = (
        sum(getattr(usage, name) for usage in trial.usage.values())
        for name in ("asked", "cached", "prompt_tokens", "completion_tokens")
    )
    console.print(
        f"\n{counted(asked, 'request')} asked, {prompt:,} prompt and {reply:,} reply tokens; {cached:,} on record before. "
        "No table of the night changed. The answers are kept in llm_calls: the night that adopts this configuration finds "
        "them there and does not pay for them again."
    )


def _made(stage: Stage, extracted: Extracted) -> dict[str, tuple[str, str]]:
    """By subject, the amount and the text of its output; subjects without output are absent."""
    found: dict[str, tuple[str, str]] = {}
    rows = extracted.made.to_pylist()
    if stage == "item_summaries":
        return {
            row["item_id"]: ("a summary", row["summary"]) for row in rows if row["extraction_key"] and row["summary"]
        }
    if stage == "review_aspects":
        for row in rows:
            said = [f"{name}: {row[name]}" for name in ASPECT_NAMES if row[name]]
            if said:
                found[row["review_id"]] = (counted(len(said), "aspect"), "; ".join(said))
        return found
    names: dict[str, list[str]] = {}
    for row in rows:
        if row["persona_source"] != "llm":  # a plain persona stands in where nothing came of it
            continue
        names.setdefault(row["item_id"], []).append(row["name"])
    return {item: (counted(len(told), "persona"), ", ".join(told)) for item, told in names.items()}
