"""The nightly DAG as Airflow sees it."""

from typing import Any

import pytest


@pytest.fixture
def dag(bag: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bag["dags"]["nightly_recommendations"]
    return found


def test_only_a_release_publishes(dag: dict[str, Any]) -> None:
    publishing = {name for name, task in dag["tasks"].items() if task["outlets"]}
    assert publishing == {"releases"}
    assert dag["tasks"]["releases"]["upstream"] == ["default_topk", "user_item_topk"]
    # A teardown does not decide the state of the run: a refused night stays red though its report was written.
    assert [name for name, task in dag["tasks"].items() if task["teardown"]] == ["report"]


def test_spark_and_models_have_their_pools(dag: dict[str, Any]) -> None:
    assert {name for name, task in dag["tasks"].items() if task["pool"] == "spark"} == {
        "reviews", "item_reviews", "user_histories", "candidates", "training_pairs", "user_item_topk", "releases"
    }  # fmt: skip
    assert dag["tasks"]["item_personas"]["pool"] == "gpu"
    assert (dag["tasks"]["encoders"]["pool"], dag["tasks"]["encoders"]["timeout"]) == ("gpu", 12)  # it may train a base


def test_an_llm_is_asked_in_shards_and_committed_without_an_engine(dag: dict[str, Any]) -> None:
    shard = dag["tasks"]["extraction_shard"]
    assert (shard["mapped"], shard["pool"], shard["upstream"]) == (True, "gpu", ["extraction_plan"])
    assert shard["command"].endswith(" --shard 0")
    for stage in ("review_aspects", "item_summaries", "item_personas"):
        assert dag["tasks"][stage]["command"].endswith(" --no-engine")
        assert dag["tasks"][stage]["timeout"] == 12  # with the embedded extractor they do all the work
    # Without an LLM there is no shard, and the mapped task is skipped.
    assert dag["tasks"]["review_aspects"]["rule"] == "none_failed"
