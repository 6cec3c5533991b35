"""Rerank candidates by a zero-shot LLM: a user's history and candidates, as texts, to the candidates in an order.

It is what a recommender made of stored vectors is compared with, in quality and in cost. Answers are kept like any other: the
same history with the same candidates is asked about once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persona_pipeline.config import LlmConfig
from persona_pipeline.extract.llm.client import LlmClient, PromptRequest
from persona_pipeline.extract.llm.outcomes import Outcome
from persona_pipeline.extract.llm.prompts import Prompts
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.llm.response_models import RankingResponse, output_schema

STAGE = "reranking"
_TOKENS_AROUND, _TOKENS_PER_NUMBER = (
    32,
    6,
)  # of a reply: digits, comma and space, and a tokenizer that spends one on each


@dataclass(frozen=True, slots=True)
class Slate:
    """What one user may be recommended.

    Attributes:
        user_id: whose.
        history: what was liked before, newest first: titles, or titles with what the user said.
        candidates: the items, as texts, in an order that gives nothing away: what a reply leaves out keeps it.
    """

    user_id: str
    history: Sequence[str]
    candidates: Sequence[str]


@dataclass(frozen=True, slots=True)
class Reranked:
    """A slate's order, (candidates,) indices, best first; as given where the outcome is not `ok`."""

    order: np.ndarray
    outcome: Outcome


class Reranker:
    """Asks for an order of each slate."""

    def __init__(self, config: LlmConfig, client: LlmClient) -> None:
        self._config, self._client = config, client
        self._prompts = Prompts(config.prompt_pack, config.prompts)
        self._system = self._prompts.render("rerank_system")

    def rerank(self, slates: Sequence[Slate]) -> list[Reranked]:
        """Each slate's order. Raises PipelineError when the engine keeps dying or leaves too many without an answer."""
        outcomes = self._client.ask([self.question(slate) for slate in slates])
        return [
            Reranked(_order(o.value.ranking if isinstance(o.value, RankingResponse) else [], len(slate.candidates)), o)
            for slate, o in zip(slates, outcomes, strict=True)
        ]

    def question(self, slate: Slate) -> PromptRequest:
        """About one slate, with as much of its history as fits, newest first; the candidates are never cut."""
        question = self._about(slate, len(slate.history))
        for count in range(len(slate.history) - 1, -1, -1):
            if self._fits(question):
                break
            question = self._about(slate, count)
        return question

    def _about(self, slate: Slate, shown: int) -> PromptRequest:
        bounds = {"candidates": len(slate.candidates)}
        user = self._prompts.render("rerank_user", history=slate.history[:shown], candidates=slate.candidates)
        tokens = _TOKENS_AROUND + _TOKENS_PER_NUMBER * len(slate.candidates)
        request = Request(
            stage=STAGE,
            subject=slate.user_id,
            system=self._system,
            user=user,
            schema=output_schema(STAGE, bounds),
            model=self._client.backend.model,
            sampling=Sampling(tokens, self._config.temperature, self._config.seed),
        )
        return PromptRequest(request, RankingResponse, bounds)

    def _fits(self, question: PromptRequest) -> bool:
        backend, request = self._client.backend, question.request
        return backend.count_tokens([request])[0] + request.sampling.max_tokens <= backend.context_tokens


def _order(ranking: Sequence[int], count: int) -> np.ndarray:
    """Indices of `count` candidates: those ranked by number at their first mention, then the others as given."""
    named = dict.fromkeys(number - 1 for number in ranking if 1 <= number <= count)
    return np.array([*named, *(i for i in range(count) if i not in named)], dtype=np.int64)
