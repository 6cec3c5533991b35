"""Define an LLM request and its cache key, a hash of everything a response may depend on (invariant 2)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters."""

    max_tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True)
class Request:
    """One chat request with structured output.

    `stage` and `subject` record its purpose, `reviews` the ids of the reviews shown; they are not part of the key, so
    two subjects with the same prompt share the response.
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
        """Hash of the canonical request, 32 hexadecimal digits."""
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
        """Requests with the same key share a compiled grammar."""
        return json.dumps(self.schema, sort_keys=True, separators=(",", ":"))

    def again(self, **sampling: Any) -> "Request":
        """The same prompt with other sampling parameters, which is another request."""
        return replace(self, sampling=replace(self.sampling, **sampling))

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat messages."""
        return [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]
