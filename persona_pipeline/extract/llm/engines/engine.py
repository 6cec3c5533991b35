"""Define the interface of LLM engines: `Backend` (model, token counts, start) and `Engine` (submit, poll).

A `Backend` names its model and counts a request's tokens, at no more cost than a tokenizer; `start` brings up the
engine. An engine is fed one request at a time and polled: responses come as they finish, in any order, matched by key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from persona_pipeline.core.errors import TransientError
from persona_pipeline.extract.llm.requests import Request

FinishReason = Literal["stop", "length", "error"]

FINISHED: dict[str | None, FinishReason] = {"stop": "stop", "length": "length"}
"""What engines call an answer, whole or cut off; whatever else they say, there is none."""


class EngineDiedError(TransientError):
    """The engine broke down; the requests it had not answered are still open."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Raw output of one request. `detail` explains an error when `finish` is error."""

    key: str
    text: str
    finish: FinishReason
    prompt_tokens: int
    completion_tokens: int
    detail: str = ""


class Engine(Protocol):
    """A running LLM that answers requests."""

    def room(self) -> int:
        """Number of further requests it can usefully hold."""
        ...

    def submit(self, request: Request) -> None:
        """Take a request that fits the context. Raises EngineDiedError."""
        ...

    def poll(self) -> list[Answer]:
        """Responses finished since the last call; waits a moment if there are none. Raises EngineDiedError."""
        ...

    def close(self) -> None:
        """Release memory and processes."""
        ...


class Backend(Protocol):
    """Factory of engines for one model."""

    model: str
    """Name and revision, part of every request's key."""

    context_tokens: int
    """Prompt and completion together."""

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        """Prompt tokens of each request, chat template included."""
        ...

    def start(self) -> Engine:
        """Start an engine. Raises EngineDiedError when it does not come up."""
        ...
