"""Judge by an LLM which persona of a liked item fits its user, for `persona_choices`.

A request holds names and texts but no ids, so its cache key is stable as long as the texts shown are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from persona_pipeline.config import LlmConfig
from persona_pipeline.extract.labels.pairs import LabellingPair, LikedInteraction
from persona_pipeline.extract.llm.client import LlmClient, PromptRequest
from persona_pipeline.extract.llm.outcomes import ANSWERED, Outcome
from persona_pipeline.extract.llm.prompts import Prompts
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.llm.response_models import ChoiceResponse, output_schema
from persona_pipeline.extract.types import Refusal

_NUMBERED = re.compile(
    # "personas 1 and 3", "persona #2", "number 2", "**Selection:** 2."
    r"\b(?:personas?|number|option|selection|choice)\b[\W_]{0,6}(\d+(?:(?:\s*,\s*|\s*,?\s+(?:and|or)\s+)\d+)*)"
    r"|\[(\d+)\]|(?:\b|_)P(\d+)\b",  # "[2]", "P2", "B08XMCMCXT_P2"
    re.IGNORECASE,
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices of a sample of pairs.

    Attributes:
        rows: of `persona_choices`.
        refused: refusals by review, with the key of their request.
        pairs: pairs judged.
        fresh: pairs whose response was not cached.
    """

    rows: list[dict[str, Any]]
    refused: list[tuple[Refusal, str]]
    pairs: int = 0
    fresh: int = 0


class PersonaJudge:
    """LLM judge of the persona that fits a user."""

    def __init__(self, config: LlmConfig, client: LlmClient) -> None:
        self._config, self._client = config, client
        self._prompts = Prompts(config.prompt_pack, config.prompts)
        self._system = self._prompts.render("choice_system")

    def choose(self, pairs: Sequence[LabellingPair]) -> list[tuple[LabellingPair, Outcome]]:
        """Return each pair with its outcome, in order; pairs without any review text of the user are skipped."""
        asked = [pair for pair in pairs if any(one["said"] for one in (pair["target"], *pair["history"]))]
        return list(zip(asked, self._client.ask([self.question(pair) for pair in asked]), strict=True))

    def choices(self, pairs: Sequence[LabellingPair]) -> "Choices":
        """Return what `persona_choices` and `quarantine` should hold about these pairs."""
        rows, refused, fresh = [], [], 0
        judged = self.choose(pairs)
        for pair, outcome in judged:
            key = outcome.request.key
            fresh += outcome.name in ANSWERED and not outcome.cached
            if isinstance(outcome.value, ChoiceResponse):
                persona_id = pair["personas"][outcome.value.persona - 1]["persona_id"]
                row = {"user_id": pair["user_id"], "item_id": pair["item_id"], "review_id": pair["review_id"]}
                rows.append({**row, "persona_id": persona_id, "reasoning": outcome.value.reasoning, "request_key": key})
            else:
                refused.append((Refusal(pair["review_id"], outcome.name, outcome.detail), key))
        return Choices(rows, refused, len(judged), fresh)

    def question(self, pair: LabellingPair) -> PromptRequest:
        """Build the request about one pair, with as much of its history as fits, newest first, at least one interaction."""
        question = self._about(pair, pair["history"])
        for count in range(len(pair["history"]) - 1, 0, -1):
            if self._fits(question):
                break
            question = self._about(pair, pair["history"][:count])
        return question

    def _about(self, pair: LabellingPair, history: Sequence[LikedInteraction]) -> PromptRequest:
        llm, personas = self._config, pair["personas"]
        bounds = {"personas": len(personas)}
        request = Request(
            stage="persona_choices",
            subject=pair["review_id"],
            system=self._system,
            user=self._prompts.render("choice_user", history=history, target=pair["target"], personas=personas),
            schema=output_schema("persona_choices", bounds),
            model=self._client.backend.model,
            sampling=Sampling(llm.max_tokens.choice, llm.temperature, llm.seed),
            reviews=tuple(pair["review_ids"][: 1 + len(history)]),
        )
        names = {number: persona["name"] for number, persona in enumerate(personas, 1)}
        return PromptRequest(request, ChoiceResponse, bounds, partial(_contradicts_itself, names, len(personas)))

    def _fits(self, question: PromptRequest) -> bool:
        backend, request = self._client.backend, question.request
        return backend.count_tokens([request])[0] + request.sampling.max_tokens <= backend.context_tokens


def contradiction(reasoning: str, chosen: int, names: dict[int, str], count: int) -> str:
    """Explain how a choice's reasoning contradicts it; empty if it does not.

    The reasoning contradicts the choice when it names another persona, by name or by number, and not the chosen one. A
    reasoning that weighs several, the chosen among them, or names none, does not.

    Args:
        reasoning: of the reply.
        chosen: number of the persona chosen.
        names: names of the personas by number, as far as known.
        count: number of personas; higher numbers refer to none of them.
    """
    named = _by_number(reasoning, count) | _by_name(reasoning, names)
    if not named or chosen in named:
        return ""
    others = ", ".join(f"{number} ({names[number]})" if number in names else str(number) for number in sorted(named))
    return f"chose persona {chosen}, but its reasoning speaks of {others}: {reasoning[-200:]}"


def _contradicts_itself(names: dict[int, str], count: int, reply: BaseModel) -> str:
    assert isinstance(reply, ChoiceResponse)
    return contradiction(reply.reasoning, reply.persona, names, count)


def _by_number(reasoning: str, count: int) -> set[int]:
    mentions = (next(filter(None, match.groups())) for match in _NUMBERED.finditer(reasoning))
    found = {int(number) for mention in mentions for number in re.findall(r"\d+", mention)}
    words = re.findall(rf"\b({'|'.join(_ORDINALS)}) persona\b", reasoning.casefold())
    return {number for number in found | {1 + _ORDINALS.index(word) for word in words} if 1 <= number <= count}


def _by_name(reasoning: str, names: dict[int, str]) -> set[int]:
    """Find personas named in whole words, ignoring case, quotes and plural; longer names first, as they may contain others."""
    text, found = _words(reasoning), set()
    for number, name in sorted(names.items(), key=lambda one: -len(_words(one[1]))):
        words = _words(name).removeprefix(" the")
        if words.strip() and words in text:
            found.add(number)
            text = text.replace(words, " · ")
    return found


def _words(text: str) -> str:
    """Lower-case words without a plural's s, a space around each."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(word.removesuffix('s') for word in words)} "
