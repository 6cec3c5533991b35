"""Answer LLM requests from the response cache (`llm_calls`) first, then from an engine with as many in flight as it takes.

An unusable reply is retried within a bound: with more tokens where it was cut off, with another seed where it was
malformed or one of its texts was cut. Every attempt is a request with its own cache key, so a rerun repeats the same
attempts from the cache.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from persona_pipeline.config import LlmConfig
from persona_pipeline.core.errors import PipelineError, TransientError
from persona_pipeline.extract.llm.engines.engine import Answer, Backend, Engine, EngineDiedError
from persona_pipeline.extract.llm.outcomes import ANSWERED, Outcome, OutcomeName, outcome_of
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.extract.llm.response_cache import ResponseCache
from persona_pipeline.extract.llm.usage import Progress, Usage

logger = logging.getLogger(__name__)

_NO_ENGINE = "not on record, and this task may start no engine; clear extraction_plan and what comes after it"
_FEW = 3  # requests without an answer that are no sign of a broken engine, however few were asked

Check = Callable[[BaseModel], str]
"""What is wrong with a reply of the right shape, empty if nothing: it then contradicts itself (`label_conflict`)."""


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """A request, the response model of its reply, and the validation context."""

    request: Request
    reply: type[BaseModel]
    context: Mapping[str, Any] = field(default_factory=dict)
    check: Check | None = None


def feeding_order(request: Request) -> tuple[str, str, str]:
    """Sort key of requests: same grammar and same prompt prefix together, as the engine compiles the one and caches the other."""
    return request.system, request.schema_key, request.user


@dataclass(frozen=True, slots=True)
class _Attempt:
    question: PromptRequest
    request: Request
    number: int


class LlmClient:
    """Client of one backend and one response cache; an engine starts only for uncached requests, and never without `engine`.

    `bounded` clients hold to `token_ceiling`; others have a bound of their own.
    """

    def __init__(
        self, backend: Backend, ledger: ResponseCache, config: LlmConfig, *, engine: bool = True, bounded: bool = True
    ) -> None:
        self.backend, self.ledger = backend, ledger
        self._may_start = engine
        self._config = config
        self._ceiling = config.token_ceiling if bounded else 0
        self._engine: Engine | None = None
        self._answered: set[str] = set()  # since this began; older answers are found before anything is fed
        self.usage = Usage()

    def ask(self, questions: Sequence[PromptRequest]) -> list[Outcome]:
        """Return one outcome per request, in order. Raises PipelineError when the engine keeps dying or responses are missing."""
        outcomes: dict[int, Outcome] = {}
        self.ledger.refresh()
        unknown = self._settle([(i, _Attempt(q, q.request, 1)) for i, q in enumerate(questions)], outcomes)
        if not self._may_start:
            for i, attempt in unknown:
                outcomes[i] = Outcome(attempt.request, "engine_error", _NO_ENGINE, attempts=attempt.number)
            self._require_answers(len(unknown), len(questions), _NO_ENGINE)
            unknown = []
        waiting = deque(sorted(unknown, key=lambda one: feeding_order(one[1].request)))
        self._require_affordable([attempt.request for _, attempt in waiting])
        flying: dict[str, list[tuple[int, _Attempt]]] = {}
        progress = Progress(len(waiting), self.usage)
        try:
            self._work_through(waiting, flying, outcomes, progress, len(questions))
        finally:
            self.ledger.flush()  # responses are kept, whatever the error
        missing = [q.request.subject for i, q in enumerate(questions) if i not in outcomes]
        if missing:
            raise PipelineError(f"{len(missing)} requests have no outcome, {missing[0]} among them")
        for outcome in outcomes.values():
            self.usage.outcomes[outcome.name] = self.usage.outcomes.get(outcome.name, 0) + 1
        return [outcomes[i] for i in range(len(questions))]

    def _work_through(
        self,
        waiting: deque[tuple[int, _Attempt]],
        flying: dict[str, list[tuple[int, _Attempt]]],
        outcomes: dict[int, Outcome],
        progress: "Progress",
        questions: int,
    ) -> None:
        failed, error = 0, ""
        while waiting or flying:
            try:
                self._feed(waiting, flying, outcomes)
                answers = self._running().poll()
            except EngineDiedError as death:
                self._restart(death)
                waiting.extendleft(attempt for attempts in flying.values() for attempt in attempts)
                flying.clear()
                continue
            again: list[tuple[int, _Attempt]] = []
            for answer in answers:
                asked = flying.pop(answer.key)
                if answer.finish != "error":
                    self._answered.add(answer.key)
                self._count(answer)
                for n, one in enumerate(asked):
                    following = self._conclude(one, answer, outcomes, record=n == 0)
                    again += [following] if following else []
                    if following is None and answer.finish == "error":
                        failed, error = failed + 1, answer.detail
            self._require_answers(failed, questions, error)
            waiting.extendleft(self._settle(again, outcomes))
            progress.log(len(waiting) + len(flying))

    def open_requests(self, questions: Sequence[PromptRequest]) -> list[Request]:
        """List the requests for which `ask` would need an engine, following cached attempts as far as the cache goes.

        One request per prompt without a response; subjects with the same prompt have the same key.
        """
        open_ = self._settle([(i, _Attempt(q, q.request, 1)) for i, q in enumerate(questions)], {})
        return [attempt.request for _, attempt in open_]

    def close(self) -> None:
        """Stop the engine, if one was started, and commit the responses."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self.ledger.commit()

    def _require_affordable(self, requests: Sequence[Request]) -> None:
        ceiling = self._ceiling
        if not ceiling or not requests:
            return
        prompt = sum(self.backend.count_tokens(requests))
        reply = sum(request.sampling.max_tokens for request in requests)
        if prompt + reply > ceiling:
            raise PipelineError(
                f"{len(requests):,} new requests with {prompt:,} prompt tokens and up to {reply:,} of replies are more than "
                f"extraction.llm.token_ceiling ({ceiling:,}); `persona-pipeline plan` shows why. No engine was started."
            )

    def _require_answers(self, failed: int, questions: int, error: str) -> None:
        """Fail as soon as too many responses are missing: with the server gone, every further request would fail as well."""
        if failed > max(_FEW, self._config.max_engine_errors * questions):
            raise TransientError(
                f"{failed} of {questions} requests got no answer from the engine (extraction.llm.max_engine_errors "
                f"is {self._config.max_engine_errors:g}); the last error: {error}. Answers so far are kept."
            )

    def _settle(
        self, attempts: Sequence[tuple[int, _Attempt]], outcomes: dict[int, Outcome]
    ) -> list[tuple[int, _Attempt]]:
        """Follow each attempt through the cache; returns those an engine must answer."""
        unanswered: list[tuple[int, _Attempt]] = []
        todo = list(attempts)
        while todo:
            known = self.ledger.lookup(attempt.request.key for _, attempt in todo)
            before = (answer for key, answer in known.items() if key not in self._answered)
            self.usage.cached_tokens += sum(answer.prompt_tokens + answer.completion_tokens for answer in before)
            onward = []
            for one in todo:
                answer = known.get(one[1].request.key)
                if answer is None:
                    unanswered.append(one)
                    continue
                self.usage.cached += 1
                following = self._conclude(one, answer, outcomes, cached=True)
                onward += [following] if following else []
            todo = onward
        return self._fitting(unanswered, outcomes)

    def _fitting(
        self, attempts: Sequence[tuple[int, _Attempt]], outcomes: dict[int, Outcome]
    ) -> list[tuple[int, _Attempt]]:
        """Keep attempts that fit the context; record `too_long` for all others. An engine would fail the whole batch."""
        fitting = []
        counts = self.backend.count_tokens([attempt.request for _, attempt in attempts])
        for (i, attempt), prompt in zip(attempts, counts, strict=True):
            need = prompt + attempt.request.sampling.max_tokens
            if need <= self.backend.context_tokens:
                fitting.append((i, attempt))
            else:
                room = self.backend.context_tokens - attempt.request.sampling.max_tokens
                detail = f"{prompt} prompt tokens, room for {room}"
                outcomes[i] = Outcome(attempt.request, "too_long", detail, attempts=attempt.number)
        return fitting

    def _feed(
        self,
        waiting: deque[tuple[int, _Attempt]],
        flying: dict[str, list[tuple[int, _Attempt]]],
        outcomes: dict[int, Outcome],
    ) -> None:
        engine = self._running()
        while waiting and engine.room() > 0:
            one = waiting.popleft()
            key = one[1].request.key
            # The same question about another subject: one answer serves both.
            if key in flying:
                flying[key].append(one)
                continue
            if key in self._answered:
                waiting.extendleft(self._settle([one], outcomes))
                continue
            flying[key] = [one]
            engine.submit(one[1].request)
            self.usage.asked += 1

    def _conclude(
        self,
        one: tuple[int, _Attempt],
        answer: Answer,
        outcomes: dict[int, Outcome],
        *,
        cached: bool = False,
        record: bool = False,
    ) -> tuple[int, _Attempt] | None:
        """Record the outcome, or return the next attempt."""
        i, attempt = one
        question = attempt.question
        name, detail, value = outcome_of(answer, question.reply, question.request.schema, dict(question.context))
        if value is not None and question.check and (fault := question.check(value)):
            name, detail, value = "label_conflict", fault, None
        if record and name in ANSWERED:
            self.ledger.record(attempt.request, answer, name)
        following = self._next(attempt, name, answer) if value is None else None
        if following is not None:
            return i, following
        outcomes[i] = Outcome(attempt.request, name, detail, value, cached, attempt.number)
        return None

    def _next(self, attempt: _Attempt, name: OutcomeName, answer: Answer) -> _Attempt | None:
        if attempt.number >= self._config.attempts:
            return None
        sampling = attempt.request.sampling
        if answer.finish == "length":
            room = min(
                2 * sampling.max_tokens, self.backend.context_tokens - self.backend.count_tokens([attempt.request])[0]
            )
            if room <= sampling.max_tokens:
                return None
            request = attempt.request.again(max_tokens=room)
        elif name == "engine_error":
            request = attempt.request
        else:
            # At temperature 0 another seed would draw the same reply; more room would cut a text where it was cut.
            request = attempt.request.again(
                seed=sampling.seed + 1, temperature=max(sampling.temperature, self._config.retry_temperature)
            )
        return _Attempt(attempt.question, request, attempt.number + 1)

    def _count(self, answer: Answer) -> None:
        self.usage.prompt_tokens += answer.prompt_tokens
        self.usage.completion_tokens += answer.completion_tokens

    def _running(self) -> Engine:
        if self._engine is None:
            self._engine = self.backend.start()
        return self._engine

    def _restart(self, error: EngineDiedError) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self.ledger.flush()
        if self.usage.engine_restarts >= self._config.engine_restarts:
            raise TransientError(
                f"the engine died once more than extraction.llm.engine_restarts allows: {error}"
            ) from error
        self.usage.engine_restarts += 1
        logger.warning("%s; starting engine %d", error, self.usage.engine_restarts + 1)
