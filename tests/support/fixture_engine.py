"""An engine whose answer depends on the request alone, and a word-count embedding."""

import json
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from persona_pipeline.extract.llm.engines.engine import Answer, EngineDiedError
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


def numbered(request: Request) -> dict[int, str]:
    return {int(n): text for n, text in re.findall(r"^\[(\d+)\] (.*)$", request.user, re.MULTILINE)}


def is_about_point(request: Request) -> bool:
    return set(request.schema["properties"]) == {"sentences", "description"}


def point_of(request: Request) -> dict[str, object]:
    """All sentences make it."""
    return {"sentences": list(numbered(request)), "description": "They say what stands there."}


def persona_of(sentences: dict[int, str], number: int) -> dict[str, object]:
    """A persona that says what one sentence says."""
    said = re.sub(r" \(\d\.?\d* stars?\b.*", "", sentences[number])
    return {
        "sentences": [number],
        "stance": "likes",
        "description": said.ljust(20, "."),
        "preference_rationale": said.ljust(10, "."),
        "name": f"Fans of {' '.join(re.findall('[a-z]{4,}', said)[-2:])}",
    }


def honest(request: Request) -> str:
    """A model that does as it is told, with the reviews' own words."""
    sentences = numbered(request)
    if request.stage == "review_aspects":
        kinds = (("tone", "quality_criteria", "a bright tone"), ("stage", "usage_context", "play on stage"))
        aspects = [
            {"sentences": cited[:3], "aspect": aspect, "text": said}
            for word, aspect, said in kinds
            if (cited := [n for n, text in sentences.items() if word in text])
        ]
        return json.dumps(
            {"aspects": aspects or [{"sentences": [1], "aspect": "quality_criteria", "text": sentences[1][:119]}]}
        )
    if request.stage == "item_summaries":
        return json.dumps({"summary": "Steel guitar strings with a bright tone."})
    if request.stage == "persona_choices":  # numbered are the personas
        said = request.user.split("<product>")[1].split("</product>")[0].split(": ", 1)[-1]
        likeness = embed([said, *sentences.values()])
        best = 1 + int(np.argmax(likeness[1:] @ likeness[0]))
        return json.dumps({"reasoning": f"Their own words are those of persona {best}.", "persona": best})
    if is_about_point(request):
        return json.dumps(point_of(request))
    personas: list[dict[str, object]] = []
    for name, word in (("Tone seekers", "tone"), ("Stage players", "stage"), ("Gift givers", "gift")):
        cited = [n for n, text in sentences.items() if word in text]
        if cited:
            personas.append(
                {
                    "sentences": cited[:12],
                    "stance": "likes",
                    "description": f"They care about the {word}: {sentences[cited[0]].split(' (')[0].rstrip('.!')}.",
                    "preference_rationale": f"The {word} suits them.",
                    "name": name,
                }
            )
    most = request.schema["properties"]["personas"]["maxItems"]
    return json.dumps({"personas": personas[:most]})


def echo(request: Request) -> str:
    """A model with nothing to say but what it reads: every claim is a sentence it cites."""
    sentences = numbered(request)
    if request.stage == "review_aspects":
        aspect = {"sentences": [1], "aspect": "quality_criteria", "text": sentences[1].rstrip(".!")[:119]}
        return json.dumps({"aspects": [aspect]})
    if request.stage == "item_summaries":
        return json.dumps({"summary": max(request.user.splitlines(), key=len).split(": ", 1)[1].ljust(10, ".")})
    if is_about_point(request):
        return json.dumps(point_of(request))
    most = request.schema["properties"]["personas"]["maxItems"]
    personas = [{**persona_of(sentences, n), "name": f"Fans of {n}"} for n in sentences]
    return json.dumps({"personas": personas[:most]})


class WordCounts:
    """The base model of `embed`, where an `Embedder` looks for one."""

    dimensions = 512

    def __init__(self, config: Any) -> None:
        self.config = config

    def encode(self, texts: list[str]) -> np.ndarray:
        return embed(texts)
