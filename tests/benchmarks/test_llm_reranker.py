"""The LLM reranker: the order it makes of a reply, whatever the reply, and what it shows of a history."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from _llm_reranker import Reranker, Slate, _order
from fixture_engine import FixtureBackend, Reply, numbered
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.config import LlmConfig
from persona_pipeline.extract.llm.client import LlmClient
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.extract.llm.response_cache import ResponseCache
from persona_pipeline.warehouse import Warehouse

CANDIDATES = ["a plain strap", "stage tuner", "picks", "stage light"]


def stage_first(request: Request) -> str:
    """A model that likes whatever is for the stage."""
    items = numbered(request)
    return json.dumps({"ranking": sorted(items, key=lambda n: ("stage" not in items[n], n))})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "wh"


def reranker(root: Path, reply: Reply, **settings: Any) -> tuple[Reranker, FixtureBackend]:
    backend, config = FixtureBackend(reply), LlmConfig(**settings)
    client = LlmClient(backend, ResponseCache(Warehouse(root), date(2024, 1, 1)), config)
    return Reranker(config, client), backend


def test_candidates_come_in_the_order_of_the_reply(root: Path) -> None:
    rerank, backend = reranker(root, stage_first)
    users = [Slate(f"u{n}", ["loud stage amp"], CANDIDATES[n:] + CANDIDATES[:n]) for n in range(3)]
    found = rerank.rerank(users)
    best = [[slate.candidates[i] for i in one.order[:2]] for slate, one in zip(users, found, strict=True)]
    assert best == [["stage tuner", "stage light"], ["stage tuner", "stage light"], ["stage light", "stage tuner"]]
    assert [one.outcome.name for one in found] == ["ok"] * 3
    assert "loud stage amp" in backend.asked[0].user


def test_the_schema_knows_how_many_candidates_there_are(root: Path) -> None:
    rerank, _ = reranker(root, stage_first)
    ranking = rerank.question(Slate("u", [], CANDIDATES)).request.schema["properties"]["ranking"]
    assert (ranking["items"]["maximum"], ranking["minItems"], ranking["maxItems"]) == (4, 4, 4)


@pytest.mark.parametrize(
    ("reply", "order", "outcome"),
    [
        ('{"ranking":[3,1]}', [2, 0, 1, 3], "ok"),
        ('{"ranking":[4,4,9,0,2]}', [3, 1, 0, 2], "ok"),
        ('{"ranking":[]}', [0, 1, 2, 3], "schema"),
        ("the second one", [0, 1, 2, 3], "invalid_json"),
    ],
)
def test_what_a_reply_leaves_out_goes_last_as_given(root: Path, reply: str, order: list[int], outcome: str) -> None:
    (found,) = reranker(root, lambda _: reply)[0].rerank([Slate("u", ["amp"], CANDIDATES)])
    assert (found.order.tolist(), found.outcome.name) == (order, outcome)


@given(st.lists(st.integers(-3, 30)), st.integers(0, 25))
def test_an_order_holds_every_candidate_once(ranking: list[int], count: int) -> None:
    assert sorted(_order(ranking, count).tolist()) == list(range(count))


def test_the_same_slate_is_asked_about_once(root: Path) -> None:
    slate = Slate("u", ["amp"], CANDIDATES)
    for again in (False, True):
        rerank, backend = reranker(root, stage_first)
        (found,) = rerank.rerank([slate])
        rerank._client.close()
        assert (found.outcome.cached, len(backend.asked)) == (again, 0 if again else 1)


def test_the_oldest_history_gives_way_to_the_candidates(root: Path) -> None:
    rerank, backend = reranker(root, stage_first)
    backend.context_tokens = 400
    history = [f"item{n} " + "word " * 30 for n in range(20)]
    request = rerank.question(Slate("u", history, CANDIDATES)).request
    assert backend.count_tokens([request])[0] + request.sampling.max_tokens <= 400
    assert "item0 " in request.user
    assert "item19 " not in request.user
    assert list(numbered(request).values()) == CANDIDATES
