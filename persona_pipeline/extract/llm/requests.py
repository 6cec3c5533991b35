"""What is asked: a request is its content, and its key is a hash of all that an answer may depend on (invariant 2)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn."""

    max_tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True)
class Request:
    """One chat request with structured output.

    `stage` and `subject` say who asks and about what, `reviews` whose words are shown, by id; they are no part of the key, so
    two subjects that need the same question answered share the answer.
    """

    stage: str
    subject: str
    system: str
    user: str
    schema: Mapping[str, Any]
    model: str
    sampling: Sampling
    reviews: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """32 hexadecimal digits of the canonical request."""
        sampling = self.sampling
        parts = {
            "system": self.system,
            "user": self.user,
            "schema": self.schema,
            "model": self.model,
            "sampling": [sampling.max_tokens, sampling.temperature, sampling.seed],
        }
        canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]

    @cached_property
    def schema_key(self) -> str:
        """Requests with the same one share a compiled grammar."""
        return json.dumps(self.schema, sort_keys=True, separators=(",", ":"))

    def again(self, **sampling: Any) -> "Request":
        """The same question drawn differently, which is another request."""
        return replace(self, sampling=replace(self.sampling, **sampling))

    @property
    def messages(self) -> list[dict[str, str]]:
        """As chat messages."""
        return [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]
