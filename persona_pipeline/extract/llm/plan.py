"""Plan the LLM requests of a run before any is sent: subjects, requests, tokens, time and cost by stage.

The plan is an upper bound: a persona request counts as new, with the tokens known so far, while an aspect or summary it
depends on has no response yet, even if that response turns out to change nothing, such as a refused summary.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from persona_pipeline.config import LlmConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.extract import stages
from persona_pipeline.extract.evidence import item_evidence, review_text
from persona_pipeline.extract.llm.client import PromptRequest
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.pending import items_to_profile, items_to_summarise, reviews_to_read
from persona_pipeline.extract.types import PersonaExtractor, Stage
from persona_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Plan of one stage. `changed` subjects have no valid result, `why` counts the reasons.

    Of their distinct `requests`, `new` ones are not cached. `reply_tokens` assumes the mean of the stage's cached
    responses, else the most a reply may have, as `most_tokens` (prompts and whole replies) does.
    """

    stage: str
    unchanged: int
    changed: int
    why: Mapping[str, int]
    requests: int
    new: int
    prompt_tokens: int
    reply_tokens: int
    most_tokens: int


@dataclass(frozen=True, slots=True)
class ExtractionPlan:
    """Plans of the stages, tokens of new requests by item, counting those about its reviews, and the requests' keys."""

    stages: tuple[StagePlan, ...]
    tokens_of_item: Mapping[str, int]
    keys: AbstractSet[str]

    @property
    def total(self) -> StagePlan:
        """The sum over stages, as a `StagePlan`."""
        counts = (name for name in StagePlan.__slots__ if name not in ("stage", "why"))
        sums = {name: sum(getattr(plan, name) for plan in self.stages) for name in counts}
        return StagePlan("all", why={}, **sums)


def plan_requests(
    warehouse: Warehouse,
    extractor: LlmExtractor,
    personas: pa.Table,
    summaries: pa.Table,
    refresh_share: float,
    whole: PersonaExtractor | None = None,
) -> ExtractionPlan:
    """Plan from the warehouse's tables; `personas` and `summaries` are those of the parent release.

    `whole` is the extractor of the task `item_personas`, where that takes some personas from elsewhere.
    """
    planner = Planner(extractor)
    part = planner.add_reviews(warehouse)
    part = planner.add_summaries(part, summaries)
    planner.add_personas(part, personas, refresh_share, whole)
    return planner.plan()


def require_affordable(plan: ExtractionPlan, ceiling: int) -> None:
    """Raise PipelineError where the run may need more tokens than `ceiling`; 0 is no ceiling."""
    total = plan.total
    if ceiling and total.most_tokens > ceiling:
        raise PipelineError(
            f"{total.new:,} new requests of {total.most_tokens:,} tokens, prompts and whole replies, are more than "
            f"extraction.llm.token_ceiling ({ceiling:,}). No engine was started. Raise it, or see in the plan above "
            "which stage changed and why."
        )


def show_plan(plan: ExtractionPlan, config: LlmConfig, console: Console) -> None:
    """Print a plan, with an engine's minutes at the configured rate and their cost."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("stage", no_wrap=True)
    for name in ("same", "changed", "asked", "new", "tokens in", "tokens out", "minutes", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why")
    for stage in [*plan.stages, plan.total]:
        hours = (stage.prompt_tokens + stage.reply_tokens) / config.tokens_per_second / 3600
        counts = (stage.unchanged, stage.changed, stage.requests, stage.new, stage.prompt_tokens, stage.reply_tokens)
        cost = f"{hours * config.cost_per_hour:,.2f}"
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(stage.why.items()))
        table.add_row(stage.stage, *(f"{n:,}" for n in counts), f"{60 * hours:,.1f}", cost, why)
    console.print(table)
    console.print("[dim]asked: distinct requests; new: those without an answer on record; retries come on top[/]")


def show_judge(judged_pairs: int, console: Console) -> None:
    """Print the upper bound of the judge's requests: which pairs are judged depends on personas that are not extracted yet."""
    if judged_pairs:
        console.print(f"[dim]persona_choices: up to {judged_pairs:,} requests more (extraction.llm.judged_pairs)[/]")


_AWAITED = {"summary": "Still to be written.", "summary_source": "none", "extraction_key": "", "extractor_version": ""}


class Planner:
    """Plan the stages in order.

    Each stage returns the warehouse with the rows its cached responses give, so that later stages are planned on their
    actual inputs. A subject without a cached response leaves its item `pending`: the next stage's request about the
    item will change.
    """

    def __init__(self, extractor: LlmExtractor) -> None:
        self._extractor, self._client = extractor, extractor.client
        self._stages: list[StagePlan] = []
        self._tokens_of_item: Counter[str] = Counter()
        self._keys: set[str] = set()
        self._pending: set[str] = set()

    def plan(self) -> ExtractionPlan:
        """The plan of all added stages."""
        return ExtractionPlan(tuple(self._stages), self._tokens_of_item, self._keys)

    def add_reviews(self, part: Warehouse) -> Warehouse:
        """Plan `review_aspects`."""
        known, wanted = reviews_to_read(part, self._extractor.version("review_aspects"), self._extractor.reads)
        rows = wanted.to_pylist()
        item_of = {row["review_id"]: row["item_id"] for row in rows}
        questions = self._extractor.questions_about_reviews([review_text(row) for row in rows])
        unread = self._add("review_aspects", known["review_id"], wanted["why"], questions, item_of)
        self._pending |= {item_of[review] for review in unread}
        ids = pa.table({"review_id": pa.array(sorted(item_of.keys() - unread), pa.string())})
        told = part.query("SELECT * FROM reviews SEMI JOIN ids USING (review_id)", ["reviews"], ids=ids)
        made = stages.review_aspects(part.holding(reviews=told), self._extractor).made
        return part.holding(review_aspects=pa.concat_tables([known.cast(made.schema), made]))

    def add_summaries(self, part: Warehouse, inherited: pa.Table) -> Warehouse:
        """Plan `item_summaries`; `inherited` are those of the parent release."""
        known, wanted = items_to_summarise(part, self._extractor.version("item_summaries"))
        rows = wanted.to_pylist()
        questions = self._extractor.questions_about_items("item_summaries", [item_evidence(row) for row in rows])
        untold = self._add("item_summaries", known["item_id"], wanted["why"], questions)
        self._pending |= untold
        told = stages.of_items(part, sorted({row["item_id"] for row in rows} - untold))
        made = stages.item_summaries(told, self._extractor, inherited).made
        # A placeholder: whatever the summary's text, it changes the request for the item's personas.
        awaited = [{**_AWAITED, "item_id": item} for item in sorted(untold)]
        rest = pa.Table.from_pylist(awaited, schema=made.schema)
        return part.holding(item_summaries=pa.concat_tables([known.cast(made.schema), made, rest]))

    def add_personas(
        self, part: Warehouse, inherited: pa.Table, refresh_share: float, whole: PersonaExtractor | None = None
    ) -> None:
        """Plan `item_personas`; `inherited` are those of the parent release, `whole` as in `plan_requests`."""
        whole = whole or self._extractor
        known, wanted = items_to_profile(part, whole.version("item_personas"), inherited, refresh_share)
        items = [item_evidence(row) for row in wanted.to_pylist() if row["item_id"] not in whole.ready]
        questions = self._extractor.questions_about_items("item_personas", items)
        self._add("item_personas", known["item_id"], wanted["why"], questions)

    def _add(
        self,
        stage: Stage,
        known: pa.ChunkedArray,
        why: pa.ChunkedArray,
        questions: Sequence[PromptRequest],
        item_of: Mapping[str, str] | None = None,
    ) -> set[str]:
        """Add a stage; returns the subjects without a cached response."""
        open_ = self._client.open_requests(questions)
        unknown = {request.key: request for request in open_}
        unknown |= {q.request.key: q.request for q in questions if q.request.subject in self._pending}
        self._keys |= unknown.keys()
        new = list(unknown.values())
        said = self._client.ledger.mean_reply_tokens(stage)
        prompts = self._client.backend.count_tokens(new)
        replies = [request.sampling.max_tokens if said is None else said for request in new]
        for request, prompt, reply in zip(new, prompts, replies, strict=True):
            self._tokens_of_item[(item_of or {}).get(request.subject, request.subject)] += round(prompt + reply)
        self._stages.append(
            StagePlan(
                stage,
                len(pc.unique(known)),
                len(why),
                {entry["values"]: entry["counts"] for entry in pc.value_counts(why).to_pylist()},
                len({question.request.key for question in questions}),
                len(new),
                sum(prompts),
                round(sum(replies)),
                sum(prompts) + sum(request.sampling.max_tokens for request in new),
            )
        )
        return {request.subject for request in open_}
