"""An engine whose answer depends on the request alone, and a word-count embedding."""

import re
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from persona_pipeline.extract.llm.engine import Answer, EngineDiedError
from persona_pipeline.extract.llm.requests import Request

Reply = Callable[[Request], str | Answer]


class FixtureEngine:
    """Answers the youngest request first, a few per poll, so that nothing can rely on order."""

    def __init__(self, backend: "FixtureBackend") -> None:
        self.backend = backend
        self.open: list[Request] = []
        self.closed = False

    def room(self) -> int:
        return 5 - len(self.open)

    def submit(self, request: Request) -> None:
        self.backend.asked.append(request)
        self.open.append(request)

    def poll(self) -> list[Answer]:
        if self.backend.lives is not None and len(self.backend.asked) > self.backend.lives:
            self.backend.lives += self.backend.life
            raise EngineDiedError("the engine is gone")
        done = [self.open.pop() for _ in range(min(2, len(self.open)))]
        return [self._answer(request) for request in done]

    def close(self) -> None:
        self.closed = True

    def _answer(self, request: Request) -> Answer:
        text = self.backend.reply(request)
        if isinstance(text, Answer):
            return text
        words = text.split()
        if len(words) > request.sampling.max_tokens:
            return Answer(request.key, " ".join(words[: request.sampling.max_tokens]), "length", 10, len(words))
        return Answer(request.key, text, "stop", 10, len(words))


class FixtureBackend:
    """Counts words as tokens. With `life`, each engine dies after that many requests."""

    model = "fixture@1"
    context_tokens = 2_000

    def __init__(self, reply: Reply, life: int | None = None) -> None:
        self.reply, self.life, self.lives = reply, life or 0, life
        self.asked: list[Request] = []
        self.engines: list[FixtureEngine] = []

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        return [len(f"{request.system} {request.user}".split()) for request in requests]

    def start(self) -> FixtureEngine:
        self.engines.append(FixtureEngine(self))
        return self.engines[-1]


def embed(texts: Sequence[str]) -> np.ndarray:
    """Counts of hashed words, normalised: texts are alike as far as they share words."""
    matrix = np.zeros((len(texts), 512), np.float32)
    for row, text in enumerate(texts):
        for word in re.findall(r"[a-z]{3,}", text.lower()):
            matrix[row, zlib.crc32(word.encode()) % 512] += 1
    normalised: np.ndarray = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    return normalised
