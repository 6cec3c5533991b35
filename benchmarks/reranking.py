"""What reranking 20 candidates of a user costs: stored vectors against an LLM, `reranking.py [--users N] [--llm-users N] ...`.

Ours takes one user at a time: 20 items of a catalogue, scored in float64 with all their personas and sorted. The LLM reads
the titles a synthetic shopper liked and those of 20 items, and replies with an order; its users are asked about together, so
that its engine is full, and its start is not counted. Both on this machine's CPU. The LLM is the small one of the tests, on
which nothing but its cost can be judged: one worth asking is larger, and slower on the same machine.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from _llm_reranker import Reranker, Slate

from persona_pipeline.config import LlmConfig, load_config
from persona_pipeline.extract.llm.client import LlmClient
from persona_pipeline.extract.llm.engines.vllm import SMALL_MODEL, VllmBackend, VllmEngine
from persona_pipeline.extract.llm.response_cache import ResponseCache
from persona_pipeline.score.topk.kernel import ItemIndex, exact_scores
from persona_pipeline.sources.containers import opened
from persona_pipeline.sources.synthetic import SyntheticConfig, generate, write
from persona_pipeline.warehouse import Warehouse

CANDIDATES, HISTORY, PERSONAS, DIMENSIONS = 20, 10, 5, 384
LIKED = 4.0


class Running(VllmBackend):
    """A backend whose engine is up and stays up."""

    def __init__(self, config: LlmConfig) -> None:
        super().__init__(config)
        self._engine = super().start()

    def start(self) -> VllmEngine:
        """The one there is."""
        return self._engine


def microseconds_of_ours(users: int, items: int) -> np.ndarray:
    """For each user, (users,): from stored vectors to an order of the candidates."""
    rng = np.random.default_rng(0)
    ids = np.array([f"i{n:07d}" for n in range(items)])
    item_index = ItemIndex.build(
        np.repeat(ids, PERSONAS),
        _unit(rng.standard_normal((items * PERSONAS, DIMENSIONS), dtype=np.float32)),
        dict(zip(ids.tolist(), rng.random(items).tolist(), strict=True)),
        temperature=0.05,
        aggregation="softmax",
    )
    vectors = _unit(rng.standard_normal((users, DIMENSIONS)))
    candidates = rng.integers(0, items, (users, CANDIDATES))
    seconds = np.empty(users)
    for n in range(users):
        started = time.perf_counter()
        np.argsort(-exact_scores(item_index, vectors[n : n + 1], candidates[n : n + 1]).scores)
        seconds[n] = time.perf_counter() - started
    return seconds * 1e6


def of_llm(users: int) -> dict[str, Any]:
    """Microseconds a user, tokens a user, and what became of the replies."""
    config = load_config("local", {"extraction": {"extractor": "vllm", "llm": {"attempts": 1}}}).extraction.llm
    slates, backend = shoppers(users + 1), Running(config)
    with tempfile.TemporaryDirectory() as scratch:
        client = LlmClient(backend, ResponseCache(Warehouse(scratch), date(2024, 1, 1)), config)
        reranker = Reranker(config, client)
        reranker.rerank(slates[:1])  # compiles the grammar
        prompt, reply = client.usage.prompt_tokens, client.usage.completion_tokens
        started = time.perf_counter()
        found = reranker.rerank(slates[1:])
        seconds = time.perf_counter() - started
        client.close()
    return {
        "microseconds_llm": round(1e6 * seconds / users),
        "llm": config.model,
        "prompt_tokens": round((client.usage.prompt_tokens - prompt) / users),
        "reply_tokens": round((client.usage.completion_tokens - reply) / users),
        "outcomes": Counter(one.outcome.name for one in found),
        "left_as_given": sum(bool((np.diff(one.order) == 1).all()) for one in found),
    }


def shoppers(count: int) -> list[Slate]:
    """Of the synthetic shop: what they liked last, newest first, and candidates drawn from all items."""
    with tempfile.TemporaryDirectory() as world:
        write(generate(SyntheticConfig()), Path(world))
        with opened(Path(world) / "items.jsonl.gz") as lines:
            items = [json.loads(line) for line in lines]
        with opened(Path(world) / "reviews.jsonl.gz") as lines:
            reviews = [json.loads(line) for line in lines]
    titles = {item["item_id"]: item["title"] for item in items if item.get("title")}
    liked = defaultdict(list)
    for review in sorted(reviews, key=lambda row: str(row["timestamp"]), reverse=True):
        if review["item_id"] in titles and review["rating"] >= LIKED:
            liked[review["user_id"]].append(titles[review["item_id"]])
    rng, all_titles = np.random.default_rng(0), sorted(titles.values())
    most = sorted(liked, key=lambda user: (-len(liked[user]), user))[:count]
    return [
        Slate(user, liked[user][:HISTORY], rng.choice(all_titles, CANDIDATES, replace=False).tolist()) for user in most
    ]


def _unit(vectors: np.ndarray) -> np.ndarray:
    normalised: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--llm-users", type=int, default=8)
    arguments = parser.parse_args()
    ours = microseconds_of_ours(arguments.users, arguments.items)
    figures: dict[str, Any] = {
        "microseconds_ours": round(float(np.median(ours)), 1),
        "microseconds_ours_p99": round(float(np.percentile(ours, 99)), 1),
    }
    print(json.dumps(figures), file=sys.stderr, flush=True)
    if find_spec("vllm") is None or not (SMALL_MODEL / "config.json").is_file():
        print(json.dumps({**figures, "skipped": "vLLM or the small model is not installed here"}))
    else:
        figures |= of_llm(arguments.llm_users)
        figures["ratio"] = round(figures["microseconds_llm"] / figures["microseconds_ours"])
        print(json.dumps(figures))
