"""Log the progress of long work; in a job each such line is an event in JSON, as the other events of a job are."""

import json
import logging
import sys
from typing import Any


def log_progress(logger: logging.Logger, text: str, *args: Any, done: int, of: int) -> None:
    """Log that `done` of `of` units are done, in words."""
    logger.info(text, *args, extra={"progress": {"done": done, "of": of}})


def log_events(job: str) -> None:
    """Log to standard error as a job does: messages as they are, progress as events."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_EventFormatter(job))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("persona_pipeline").setLevel(logging.INFO)


class _EventFormatter(logging.Formatter):
    def __init__(self, job: str) -> None:
        super().__init__("%(message)s")
        self._job = job

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        progress = getattr(record, "progress", None)
        if progress is None:
            return message
        return json.dumps({"job": self._job, "event": "progress", "text": message, **progress})
