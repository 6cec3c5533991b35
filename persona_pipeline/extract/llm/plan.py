"""What a night would ask an LLM, before it asks: subjects, requests, tokens, time and money by stage.

Personas are asked about on top of aspects and summaries that may still have to be asked for, so the number of their
requests is exact and the tokens of their prompts are those of what is known so far.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from persona_pipeline.extract.extractors import item_evidence
from persona_pipeline.extract.llm.ask import Asker, Question
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.protocol import ReviewText, Stage
from persona_pipeline.extract.work import items_to_profile, items_to_summarise, reviews_to_read
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage. `changed` subjects have no valid answer; of their distinct `requests`, `new` ones are not on record.

    `reply_tokens` are the mean of the answers on record of that stage, else what a reply may have at most.
    """

    stage: Stage
    unchanged: int
    changed: int
    requests: int
    new: int
    prompt_tokens: int
    reply_tokens: int


def plan_night(warehouse: Warehouse, extractor: LlmExtractor, parent: pa.Table) -> list[StagePlan]:
    """Plans of the three stages, from tables as they are; `parent` is `item_personas` of the parent release."""
    known, wanted = reviews_to_read(warehouse, extractor.version("review_aspects"))
    rows = wanted.to_pylist()
    columns = ("review_id", "user_id", "item_id", "rating", "text")
    reviews = [ReviewText(*(row[c] for c in columns)) for row in rows]
    asker = extractor.asker
    plans = [_plan("review_aspects", known, reviews, extractor.questions_about_reviews(reviews), asker, warehouse)]
    pending = {row["item_id"] for row in rows}
    known, wanted = items_to_summarise(warehouse, extractor.version("item_summaries"))
    pending |= set(wanted["item_id"].to_pylist())
    items = [item_evidence(row) for row in wanted.to_pylist()]
    questions = extractor.questions_about_items("item_summaries", items)
    plans.append(_plan("item_summaries", known, items, questions, asker, warehouse))
    kept, wanted = items_to_profile(warehouse, extractor.version("item_personas"), parent)
    items = [item_evidence(row) for row in wanted.to_pylist()]
    questions = extractor.questions_about_items("item_personas", items)
    plans.append(_plan("item_personas", kept, items, questions, asker, warehouse, pending))
    return plans


def show_plan(plans: Sequence[StagePlan], tokens_per_second: float, cost_per_hour: float, console: Console) -> None:
    """Print them, with minutes at the given rate and their cost."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("stage", no_wrap=True)
    for name in ("same", "changed", "asked", "new", "tokens in", "tokens out", "minutes", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for plan in [*plans, _total(plans)]:
        hours = (plan.prompt_tokens + plan.reply_tokens) / tokens_per_second / 3600
        counts = (plan.unchanged, plan.changed, plan.requests, plan.new, plan.prompt_tokens, plan.reply_tokens)
        table.add_row(plan.stage, *(f"{n:,}" for n in counts), f"{60 * hours:,.1f}", f"{hours * cost_per_hour:,.2f}")
    console.print(table)
    console.print("[dim]asked: distinct requests; new: those without an answer on record; retries come on top[/]")


def _plan(
    stage: Stage,
    known: pa.Table,
    changed: Sequence[Any],
    questions: list[Question],
    asker: Asker,
    warehouse: Warehouse,
    pending: AbstractSet[str] = frozenset(),
) -> StagePlan:
    """`pending` subjects will ask something else than they would now: what they rest on is still to be asked for."""
    subject = "review_id" if stage == "review_aspects" else "item_id"
    unknown = {request.key: request for request in asker.open_requests(questions)}
    unknown |= {q.request.key: q.request for q in questions if q.request.subject in pending}
    new = list(unknown.values())
    said = warehouse.query(
        "SELECT avg(completion_tokens) AS mean FROM llm_calls WHERE stage = $stage", ["llm_calls"], {"stage": stage}
    )["mean"][0].as_py()
    return StagePlan(
        stage,
        len(set(known[subject].to_pylist())),
        len(changed),
        len({question.request.key for question in questions}),
        len(new),
        sum(asker.backend.count_tokens(new)),
        round(sum(request.sampling.max_tokens if said is None else said for request in new)),
    )


def _total(plans: Sequence[StagePlan]) -> Any:
    """The sum, in the shape of a stage."""
    sums = [sum(getattr(plan, name) for plan in plans) for name in StagePlan.__slots__[1:]]
    return StagePlan("all", *sums)  # type: ignore[arg-type]  # a row of the table, not a stage
