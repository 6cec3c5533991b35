"""Count what an LLM client asked and got, and log its progress."""

import logging
import time
from dataclasses import dataclass, field

from persona_pipeline.core.progress import log_progress

logger = logging.getLogger(__name__)

LOG_SECONDS = 15.0
"""Between two lines of progress."""


@dataclass(slots=True)
class Usage:
    """Requests and tokens so far. `asked` are requests sent to an engine, retries included.

    `cached_tokens`, prompts and replies, are those of responses that were cached before: what they would have cost.
    """

    asked: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    engine_restarts: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


class Progress:
    """Periodic progress log: requests, tokens per second, time left."""

    def __init__(self, total: int, usage: Usage) -> None:
        self._total, self._usage = total, usage
        self._started = self._logged = time.monotonic()
        self._tokens = usage.completion_tokens

    def log(self, left: int) -> None:
        """Log how far the requests are, with `left` of them open, where the last line is old enough."""
        now = time.monotonic()
        if now - self._logged < LOG_SECONDS:
            return
        self._logged = now
        done, seconds = max(self._total - left, 0), now - self._started
        rate = (self._usage.completion_tokens - self._tokens) / seconds
        eta = f"{left * seconds / done / 60:.0f} min left" if done else "no estimate yet"
        text = "answered %d of %d requests, %.0f tokens/s, %s"
        log_progress(logger, text, done, self._total, rate, eta, done=done, of=self._total)
