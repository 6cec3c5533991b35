"""The nightly DAG as Airflow sees it."""

from typing import Any

import pytest

from jobs import ORDER
from persona_pipeline.contracts import load_contract, table_names


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
        "blocks", "interactions", "reviews", "item_reviews", "user_histories", "candidates", "training_pairs",
        "user_item_topk", "releases"
    }  # fmt: skip
    assert dag["tasks"]["item_personas"]["pool"] == "gpu"
    assert (dag["tasks"]["encoders"]["pool"], dag["tasks"]["encoders"]["timeout"]) == ("gpu", 12)  # it may train a base


def test_what_a_gpu_makes_faster_stands_on_its_queue(dag: dict[str, Any]) -> None:
    assert {name for name, task in dag["tasks"].items() if task["queue"] == "gpus"} == {
        "extraction_shard", "persona_choices", "text_embeddings", "encoders", "persona_vectors", "user_vectors"
    }  # fmt: skip


def test_an_llm_is_asked_in_shards_and_committed_without_an_engine(dag: dict[str, Any]) -> None:
    shard = dag["tasks"]["extraction_shard"]
    assert (shard["mapped"], shard["pool"], shard["upstream"]) == (True, "gpu", ["extraction_plan"])
    assert shard["command"].endswith(" --shard 0")
    for stage in ("review_aspects", "item_summaries", "item_personas"):
        assert dag["tasks"][stage]["command"].endswith(" --no-engine")
        assert dag["tasks"][stage]["timeout"] == 12  # with the embedded extractor they do all the work
    # Without an LLM there is no shard, and the mapped task is skipped.
    assert dag["tasks"]["review_aspects"]["rule"] == "none_failed"


def test_every_table_a_task_reads_is_made_before_it(dag: dict[str, Any]) -> None:
    """The DAG is written out by hand; contracts say what each task reads, and the order of a local run follows from them."""

    def before(task: str) -> set[str]:
        upstream: list[str] = dag["tasks"][task]["upstream"]
        return set(upstream).union(*(before(other) for other in upstream))

    tables = [name for name in dag["tasks"] if name in table_names()]
    missing = {
        (task, table)
        for task in tables
        for table in load_contract(task).reads
        if load_contract(table).made_by not in before(task)
    }
    assert missing == set()
    assert all(set(load_contract(task).after) <= before(task) for task in tables)
    assert [task for task in ORDER if task in tables] == list(ORDER[:-1])
    made = [load_contract(table).made_by for task in ORDER[:-1] for table in load_contract(task).reads]
    assert set(made) <= set(ORDER)
    assert all(
        ORDER.index(load_contract(table).made_by) < ORDER.index(task)
        for task in ORDER[:-1]
        for table in load_contract(task).reads
    )
