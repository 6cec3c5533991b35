"""Our extraction stage against bare `LLM.chat`: `extraction_overhead.py [REVIEWS.json.gz] [--reviews N] [--rounds N]`.

Both answer the same requests about reviews (by default of the synthetic world) on one running vLLM engine, in turns, each
with an empty prefix cache and grammars already compiled. Ours is all that `review_aspects` does about them: rendering,
counting tokens, keys, a new ledger, parsing, grounding with MiniLM, quarantine. The start of the engine and of MiniLM are
reported and in neither time. One attempt each, so that both generate as much. A part's milliseconds a request are what
matters on a GPU, where an answer takes less.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from persona_pipeline.config import PipelineConfig, load_config
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract import quarantine
from persona_pipeline.extract.llm import client, extractor
from persona_pipeline.extract.llm.client import LlmClient, feeding_order
from persona_pipeline.extract.llm.engines.vllm import SMALL_MODEL, VllmBackend, VllmEngine
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.llm.request_builder import RequestBuilder
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.extract.llm.response_cache import ResponseCache
from persona_pipeline.extract.types import ReviewText
from persona_pipeline.sources.adapters import ADAPTERS
from persona_pipeline.sources.containers import opened
from persona_pipeline.sources.synthetic import SyntheticConfig, generate, write
from persona_pipeline.warehouse import Warehouse

AS_OF = date(2024, 1, 1)
PARTS: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("rendering_and_counting", RequestBuilder, ("about_review",)),
    ("rendering_and_counting", extractor, ("citable",)),
    ("rendering_and_counting", VllmBackend, ("count_tokens", "tokens")),
    ("engine", VllmEngine, ("submit", "poll")),
    ("parsing_and_grounding", client, ("outcome_of",)),
    ("parsing_and_grounding", extractor, ("aspects_of",)),
    ("parsing_and_grounding", Embedder, ("__call__",)),
    ("ledger_and_quarantine", ResponseCache, ("lookup", "record", "flush", "commit")),
    ("ledger_and_quarantine", quarantine, ("write_refusals",)),
)


class Running(VllmBackend):
    """A backend whose engine is up and stays up."""

    def __init__(self, config: PipelineConfig) -> None:
        super().__init__(config.extraction.llm)
        self.engine = super().start()

    def start(self) -> VllmEngine:
        """The one there is."""
        return self.engine


class Staying(LlmClient):
    """Leaves the engine to the next round."""

    def close(self) -> None:
        """Commit what was answered."""
        self.ledger.commit()


def main(reviews: list[ReviewText], rounds: int) -> dict[str, Any]:
    """Tokens a second of both, their ratio round by round, and where our milliseconds go."""
    config = load_config("local", {"extraction": {"extractor": "vllm", "llm": {"attempts": 1}}})
    started = time.perf_counter()
    backend = Running(config)
    engine_start = time.perf_counter() - started
    requests = _requests(config, backend, reviews)
    _bare(backend, [request.again(max_tokens=1) for request in requests])  # compiles every grammar
    ours: list[dict[str, Any]] = []
    bare: list[dict[str, Any]] = []
    for n in range(rounds):
        for turn in ("ours", "bare") if n % 2 == 0 else ("bare", "ours"):
            backend.engine.llm.reset_prefix_cache()
            if turn == "ours":
                ours.append(_ours(config, backend, reviews))
            else:
                bare.append(_bare(backend, requests))
            last = (ours if turn == "ours" else bare)[-1]
            print(f"round {n + 1}, {turn}: {last['tokens_per_s']:.1f} tokens/s", file=sys.stderr, flush=True)
    ratios = [mine["tokens_per_s"] / other["tokens_per_s"] for mine, other in zip(ours, bare, strict=True)]
    parts = {part: statistics.median(run["parts"][part] for run in ours) for part in ours[0]["parts"]}
    return {
        "requests": len(requests),
        "engine_start_s": engine_start,
        "minilm_start_s": statistics.median(run["minilm_start_s"] for run in ours),
        "outcomes": ours[0]["outcomes"],
        "ours_tokens_per_s": [run["tokens_per_s"] for run in ours],
        "bare_tokens_per_s": [run["tokens_per_s"] for run in bare],
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "seconds": parts,
        "overhead_ms_per_request": {
            part: 1_000 * seconds / len(requests) for part, seconds in parts.items() if part != "engine"
        },
    }


def _ours(config: PipelineConfig, backend: Running, reviews: list[ReviewText]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        warehouse = Warehouse(scratch)
        embedder = Embedder(config.text_embeddings, warehouse)
        loading = time.perf_counter()
        embedder(["loads the model"])
        started = time.perf_counter()
        with _clocks() as parts:
            client = Staying(backend, ResponseCache(warehouse, AS_OF), config.extraction.llm)
            mine = LlmExtractor(config.extraction, client, embedder)
            refused = [(refusal, "") for _, refusals in mine.aspects(reviews) for refusal in refusals]
            mine.close()
            quarantine.write_refusals(warehouse, "review_aspects", [review.review_id for review in reviews], refused)
        seconds = time.perf_counter() - started
    return {
        "minilm_start_s": started - loading,
        "outcomes": client.usage.outcomes,
        "tokens_per_s": client.usage.completion_tokens / seconds,
        "parts": {**parts, "rest": seconds - sum(parts.values())},
    }


def _bare(backend: Running, requests: list[Request]) -> dict[str, Any]:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    started = time.perf_counter()
    sampling = [
        SamplingParams(
            temperature=request.sampling.temperature,
            max_tokens=request.sampling.max_tokens,
            seed=request.sampling.seed,
            structured_outputs=StructuredOutputsParams(json=dict(request.schema)),
        )
        for request in requests
    ]
    answers = backend.engine.llm.chat([request.messages for request in requests], sampling, use_tqdm=False)
    seconds = time.perf_counter() - started
    return {"tokens_per_s": sum(len(answer.outputs[0].token_ids) for answer in answers) / seconds}


def _requests(config: PipelineConfig, backend: Running, reviews: list[ReviewText]) -> list[Request]:
    with tempfile.TemporaryDirectory() as scratch:
        warehouse = Warehouse(scratch)
        client = LlmClient(backend, ResponseCache(warehouse, AS_OF), config.extraction.llm)
        mine = LlmExtractor(config.extraction, client, Embedder(config.text_embeddings, warehouse))
        # In the order ours are fed: which requests come last decides how empty the engine runs at the end.
        return sorted((question.request for question in mine.questions_about_reviews(reviews)), key=feeding_order)


@contextmanager
def _clocks() -> Iterator[dict[str, float]]:
    """Seconds by part, without those of another part within."""
    seconds: dict[str, float] = defaultdict(float)
    inner = [0.0]

    def timed(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            inner.append(0.0)
            try:
                return call(*args, **kwargs)
            finally:
                took = time.perf_counter() - started
                seconds[part] += took - inner.pop()
                inner[-1] += took

        return wrapper

    plain = [(owner, name, vars(owner)[name]) for _, owner, names in PARTS for name in names]
    for part, owner, names in PARTS:
        for name in names:
            setattr(owner, name, timed(part, vars(owner)[name]))
    try:
        yield seconds
    finally:
        for owner, name, call in plain:
            setattr(owner, name, call)


def _reviews(path: Path, count: int) -> list[ReviewText]:
    """The file's first reviews with a text, whichever adapter's keys they carry."""
    with opened(path) as lines:
        rows = [json.loads(line) for line in lines]
    known = next(a.reviews for a in ADAPTERS.values() if "text" in a.reviews and a.reviews["text"][0] in rows[0])
    text, user, item = (known[name][0] for name in ("text", "user_id", "item_id"))
    told = [ReviewText(f"r{n}", row[user], row[item], 5.0, row[text]) for n, row in enumerate(rows) if row.get(text)]
    return told[:count]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, 3) if isinstance(value, float) else value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="JSON lines, plain or gzip")
    parser.add_argument("--reviews", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if find_spec("vllm") is None or not (SMALL_MODEL / "config.json").is_file():
        print(json.dumps({"skipped": "vLLM or the small model is not installed here"}))
    else:
        with tempfile.TemporaryDirectory() as world:
            if arguments.file is None:
                write(generate(SyntheticConfig()), Path(world))
            texts = _reviews(arguments.file or Path(world) / "reviews.jsonl.gz", arguments.reviews)
        print(json.dumps(_rounded(main(texts, arguments.rounds))))
