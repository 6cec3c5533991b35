"""The engine seam: requests to answers, whoever generates them.

A `Backend` says which model it is and how long a request is, at no more cost than a tokenizer; `start` brings up the
engine. An engine is fed one request at a time and polled: answers come as they finish, in any order, matched by key.
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
    """Raw output of one request. `detail` says what happened when `finish` is error."""

    key: str
    text: str
    finish: FinishReason
    prompt_tokens: int
    completion_tokens: int
    detail: str = ""


class Engine(Protocol):
    """Something that answers requests."""

    def room(self) -> int:
        """How many more requests it can usefully hold."""
        ...

    def submit(self, request: Request) -> None:
        """Take a request that fits the context. Raises EngineDiedError."""
        ...

    def poll(self) -> list[Answer]:
        """What has finished since the last call; waits a moment if nothing has. Raises EngineDiedError."""
        ...

    def close(self) -> None:
        """Give back memory and processes."""
        ...


class Backend(Protocol):
    """Where engines come from."""

    model: str
    """Name and revision, part of every request's key."""

    context_tokens: int
    """Prompt and completion together."""

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        """Prompt tokens of each request, chat template included."""
        ...

    def start(self) -> Engine:
        """A fresh engine. Raises EngineDiedError when it does not come up."""
        ...
