"""The three extraction jobs on a fixture engine: what they ask, keep, refuse, plan, and survive."""

import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from fixture_engine import FixtureBackend, Reply, WordCounts, echo
from helpers import AS_OF, put, put_all, shop

from jobs import extraction_plan, extraction_shard, item_personas, item_summaries, review_aspects
from persona_pipeline.config import load_config
from persona_pipeline.core.errors import PipelineError, TransientError
from persona_pipeline.embeddings import cache
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract import extractors
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.llm.plan import ExtractionPlan, plan_requests
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.extract.published import PublishedPersonas, Said
from persona_pipeline.extract.types import Stage
from persona_pipeline.publish.releases import Release, read_parent
from persona_pipeline.runs.context import RunContext
from persona_pipeline.warehouse import Warehouse

STAGES: dict[Stage, Any] = {
    "review_aspects": review_aspects,
    "item_summaries": item_summaries,
    "item_personas": item_personas,
}
Run = Callable[..., tuple[dict[str, dict[str, Any]], FixtureBackend]]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    found = Warehouse(tmp_path / "wh")
    made = ("reviews", "items", "item_reviews", "user_histories", "quarantine")
    put_all(found, {table: rows for table, rows in shop().items() if table in made})
    return found


def night(warehouse: Warehouse, days: int = 0, parent: Release | None = None, **llm: Any) -> RunContext:
    settings = {"extractor": "vllm", "reviews_per_persona": 1, "llm": {"method": "per_review", **llm}}
    config = load_config("local", {"extraction": settings})
    return RunContext(AS_OF + timedelta(days=days), config, warehouse, parent, row={"run_id": "r"})


@pytest.fixture
def run(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(cache, "TextModel", WordCounts)

    def stages(reply: Reply = echo, names: tuple[Stage, ...] = tuple(STAGES), **settings: Any) -> Any:
        backend = FixtureBackend(reply)
        monkeypatch.setattr(extractors, "_backend", lambda _: backend)
        tonight = night(warehouse, **settings)
        return {name: STAGES[name].job(tonight, Namespace(engine=True)) for name in names}, backend

    return stages


def released(warehouse: Warehouse) -> Release:
    """The night so far, as a parent of the next."""
    return Release("r1", AS_OF, "enc1", warehouse.versions())


def plan(
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    parent: Release | None = None,
    ready: dict[str, list[Said]] | None = None,
    **llm: Any,
) -> ExtractionPlan:
    monkeypatch.setattr(extractors, "_backend", lambda _: FixtureBackend(echo))
    config = night(warehouse, **llm).config
    embedder = Embedder(config.text_embeddings, warehouse)
    extractor = extractors.make_extractor(config.extraction, embedder, warehouse, AS_OF)
    assert isinstance(extractor, LlmExtractor)
    personas, summaries = (read_parent(warehouse, table, parent) for table in ("item_personas", "item_summaries"))
    whole = PublishedPersonas(extractor, ready, embedder, 7) if ready else None
    return plan_requests(warehouse, extractor, personas, summaries, 0, whole)


def change_one_review(warehouse: Warehouse) -> None:
    rows = shop()
    for row in rows["reviews"]:
        if row["review_id"] == "dan-picks":
            row["text"] = "Soft enough for strumming, and warm."
    for row in rows["item_reviews"]:
        for evidence in row["evidence"]:
            if evidence["review_id"] == "dan-picks":
                evidence["text"] = "Soft enough for strumming, and warm."
    for table in ("reviews", "item_reviews"):
        put(warehouse, table, rows[table])


def test_a_night_asks_once_about_everything(warehouse: Warehouse, run: Run) -> None:
    summaries, backend = run()
    asked = [request.stage for request in backend.asked]
    assert {stage: asked.count(stage) for stage in STAGES} == {
        "review_aspects": 10,
        "item_summaries": 4,  # one has no metadata
        "item_personas": 5,
    }
    for stage in STAGES:
        usage = summaries[stage]["llm"]
        assert usage["outcomes"] == {"ok": asked.count(stage)}
        assert summaries[stage]["refused"] == 0
    texts = {row["review_id"]: row["text"] for row in shop()["reviews"]}
    personas = warehouse.read("item_personas").to_pylist()
    assert {row["persona_source"] for row in personas} == {"llm"}
    assert all(texts[e["ref"]][e["start"] : e["end"]] == e["quote"] for row in personas for e in row["evidence"])
    assert {row["aspect_source"] for row in warehouse.read("review_aspects").to_pylist()} == {"llm"}
    assert warehouse.read("llm_calls").num_rows == 19


def agree_on_the_capo(warehouse: Warehouse) -> None:
    """Everybody who reviewed it says the same, in words of their own."""
    rows = shop()
    said = {row["review_id"]: f"The tone is lovely for {row['user_id']} here." for row in rows["reviews"]}
    for row in rows["reviews"]:
        if row["item_id"] == "capo":
            row["text"] = said[row["review_id"]]
    for row in rows["item_reviews"]:
        for evidence in row["evidence"] if row["item_id"] == "capo" else ():
            evidence["text"] = said[evidence["review_id"]]
    for table in ("reviews", "item_reviews"):
        put(warehouse, table, rows[table])


def test_asked_per_cluster_nobody_reads_aspects_and_the_plan_counts_every_request(
    warehouse: Warehouse, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree_on_the_capo(warehouse)
    planned = plan(warehouse, monkeypatch, method="per_cluster")
    assert [(p.stage, p.changed) for p in planned.stages] == [
        ("review_aspects", 0),
        ("item_summaries", 5),
        ("item_personas", 5),
    ]
    summaries, backend = run(method="per_cluster")
    assert len(backend.asked) == planned.total.new
    assert {request.stage for request in backend.asked} == {"item_summaries", "item_personas"}
    assert warehouse.read("review_aspects").num_rows == 0
    assert summaries["item_personas"]["refused"] == 0
    calls = {row["request_key"]: row for row in warehouse.read("llm_calls").to_pylist()}
    personas = warehouse.read("item_personas").to_pylist()
    assert {row["persona_source"] for row in personas} == {"llm", "quotes"}
    for persona in [row for row in personas if row["persona_source"] == "llm"]:
        assert persona["name"] == "Likes the tone"
        call = calls[persona["request_key"]]
        assert {e["ref"] for e in persona["evidence"]} <= set(call["review_ids"])
        assert all(e["quote"] in call["prompt"] for e in persona["evidence"])
        assert call["system"].startswith("You read what several shoppers")
    _, backend = run(method="per_cluster")
    assert backend.asked == []
    _, shards, _ = shards_then_stages(warehouse, method="per_cluster", seed=1, max_shards=2, shard_tokens=1)
    assert sum(shard["llm"]["asked"] for shard in shards) == planned.total.new


def test_the_same_night_again_asks_nothing_and_leaves_every_table(warehouse: Warehouse, run: Run) -> None:
    run()
    versions = warehouse.versions()
    _, backend = run()
    assert backend.asked == []
    assert backend.engines == []
    assert warehouse.versions() == versions


def test_what_changed_is_what_is_asked_and_what_was_planned(
    warehouse: Warehouse, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(warehouse, monkeypatch).stages
    assert [(p.stage, p.changed, p.new) for p in planned] == [
        ("review_aspects", 10, 10),
        ("item_summaries", 5, 4),
        ("item_personas", 5, 5),
    ]
    run()
    parent = released(warehouse)
    assert [p.new for p in plan(warehouse, monkeypatch, parent).stages] == [0, 0, 0]
    change_one_review(warehouse)
    planned = plan(warehouse, monkeypatch, parent).stages
    assert [(p.unchanged, p.changed, p.new) for p in planned] == [(9, 1, 1), (5, 0, 0), (4, 1, 1)]
    assert planned[0].prompt_tokens > 0
    summaries, backend = run(days=1, parent=parent)
    assert [request.subject for request in backend.asked] == ["dan-picks", "picks"]
    assert [summaries[stage]["llm"]["asked"] for stage in STAGES] == [p.new for p in planned]


def test_a_night_with_ready_made_personas_is_planned_under_their_version(
    warehouse: Warehouse, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    planned = plan(warehouse, monkeypatch, released(warehouse), ready={"capo": []}).stages
    assert [(p.changed, p.requests, p.new) for p in planned] == [(0, 0, 0), (0, 0, 0), (5, 4, 0)]


def test_one_character_of_a_prompt_asks_that_stage_again(
    warehouse: Warehouse, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run()
    parent = released(warehouse)
    packaged = (resources.files("persona_pipeline.extract") / "prompts" / "personas_system.jinja2").read_text()
    own = tmp_path / "prompts"
    own.mkdir()
    (own / "personas_system.jinja2").write_text(packaged)
    planned = plan(warehouse, monkeypatch, parent, prompts=str(own)).stages
    assert [p.changed for p in planned] == [0, 0, 0]  # where a prompt lies is no part of it
    (own / "personas_system.jinja2").write_text(packaged + "!")
    planned = plan(warehouse, monkeypatch, parent, prompts=str(own)).stages
    assert [p.new for p in planned] == [0, 0, 5]
    _, backend = run(days=1, parent=parent, prompts=str(own))
    assert [request.stage for request in backend.asked] == ["item_personas"] * 5


def test_broken_output_lands_in_quarantine_and_the_item_keeps_its_personas(warehouse: Warehouse, run: Run) -> None:
    run()
    parent = released(warehouse)
    before = warehouse.read("item_personas").to_pylist()
    change_one_review(warehouse)
    summaries, _ = run(lambda r: "{" if r.stage == "item_personas" else echo(r), days=1, parent=parent, attempts=2)
    assert summaries["item_personas"]["llm"]["outcomes"] == {"invalid_json": 1}
    after = {row["persona_id"]: row for row in warehouse.read("item_personas").to_pylist()}
    gone = [row for row in before if row["evidence"][0]["ref"] == "dan-picks"]  # its quote stands nowhere any more
    assert gone
    assert [after.pop(row["persona_id"])["status"] for row in gone] == ["retired"] * len(gone)
    kept = {row["persona_id"]: row for row in before if row not in gone}
    assert after.keys() == kept.keys()
    assert {i: row["description"] for i, row in after.items()} == {i: row["description"] for i, row in kept.items()}
    assert [row["position"] for row in after.values() if row["item_id"] == "picks"] == [1]
    (refused,) = warehouse.read("quarantine").to_pylist()
    assert (refused["stage"], refused["subject_id"], refused["reason"]) == ("item_personas", "picks", "invalid_json")
    # Mended, the next night replaces them and the record of the refusal goes.
    run(days=2, parent=replace(parent, versions=warehouse.versions()), seed=1)
    assert warehouse.read("quarantine").num_rows == 0
    assert warehouse.read("item_personas").to_pylist() != before


def test_a_review_without_an_answer_keeps_its_place_and_is_asked_again(warehouse: Warehouse, run: Run) -> None:
    def busy(request: Request) -> str:
        return "no" if request.subject == "ana-strap" and request.sampling.seed == 0 else echo(request)

    run(busy, ("review_aspects",), attempts=1)
    row = warehouse.read("review_aspects", where="review_id = 'ana-strap'").to_pylist()[0]
    assert (row["quality_criteria"], row["extraction_key"]) == (None, "")
    assert warehouse.read("quarantine")["subject_id"].to_pylist() == ["ana-strap"]
    _, backend = run(echo, ("review_aspects",), attempts=1)
    assert backend.asked == []  # the answer is on record, and as bad as it was
    run(echo, ("review_aspects",), attempts=2)
    assert warehouse.read("quarantine").num_rows == 0


def test_a_ceiling_stops_the_stage_before_an_engine_starts(warehouse: Warehouse, run: Run) -> None:
    with pytest.raises(PipelineError, match=r"10 new requests .*token_ceiling \(1,000\).* No engine was started"):
        run(names=("review_aspects",), token_ceiling=1_000)
    assert not warehouse.exists("llm_calls")


def test_a_summary_without_an_answer_leaves_the_last_good_one(warehouse: Warehouse, run: Run) -> None:
    run()
    parent = released(warehouse)
    before = warehouse.read("item_summaries", where="item_id = 'capo'").to_pylist()[0]
    items = shop()["items"]
    items[0]["title"] = "Spring capo, black"
    put(warehouse, "items", items)
    run(lambda r: "{" if r.stage == "item_summaries" else echo(r), days=1, parent=parent, attempts=1)
    after = warehouse.read("item_summaries", where="item_id = 'capo'").to_pylist()[0]
    assert after == {**before, "extraction_key": ""}
    assert warehouse.read("quarantine")["subject_id"].to_pylist() == ["capo"]


def shards_then_stages(warehouse: Warehouse, **llm: Any) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """As the DAG does it: plan, every shard, then the committers, which may start no engine."""
    tonight = night(warehouse, **llm)
    plan_summary = json.loads(json.dumps(extraction_plan.job(tonight, Namespace())))
    shards = plan_summary["shards"]
    asked = [extraction_shard.job(tonight, Namespace(shard=shard)) for shard in shards]
    return plan_summary, asked, {name: STAGES[name].job(tonight, Namespace(engine=False)) for name in STAGES}


def test_shards_ask_and_the_stages_only_take_over(
    warehouse: Warehouse, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = Warehouse(tmp_path / "other")
    made = ("reviews", "items", "item_reviews", "user_histories", "quarantine")
    put_all(undisturbed, {table: rows for table, rows in shop().items() if table in made})
    _, backend = run(names=())
    for stage in STAGES:
        STAGES[stage].job(night(undisturbed), Namespace(engine=True))
    whole = sorted(request.key for request in backend.asked)
    backend.asked.clear()
    summary, shards, stages = shards_then_stages(warehouse, max_shards=3, shard_tokens=1)
    assert len(shards) == 3
    assert sum(shard["items"] for shard in shards) == 5
    assert sorted(request.key for request in backend.asked) == whole
    assert summary["new_requests"] == sum(shard["llm"]["asked"] for shard in shards) == 19
    assert [stages[stage]["llm"]["asked"] for stage in STAGES] == [0, 0, 0]
    for table in (*STAGES, "quarantine"):
        assert warehouse.read(table).equals(undisturbed.read(table)), table
    assert warehouse.read("llm_calls").num_rows == 19
    keys = warehouse.read("text_embeddings").select(["text_hash", "base_model"])
    assert len(set(map(str, keys.to_pylist()))) == keys.num_rows
    # Without the tables, what they rest on is on record all the same.
    for stage in STAGES:
        put(warehouse, stage, [])
    again = extraction_plan.job(night(warehouse), Namespace())
    assert (again["changed"], again["new_requests"], again["shards"]) == (20, 0, [])
    assert again["stages"]["item_personas"]["why"] == {"new": 5}
    # The same again: no shard, no engine.
    engines = len(backend.engines)
    summary, shards, _ = shards_then_stages(warehouse, max_shards=3, shard_tokens=1)
    assert (summary["shards"], shards, summary["new_requests"]) == ([], [], 0)
    assert len(backend.engines) == engines


def test_what_had_no_answer_is_planned_with_all_that_rests_on_it(
    warehouse: Warehouse, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(request: Request) -> str:
        return "no" if request.subject in ("ana-strap", "capo") and request.stage != "item_personas" else echo(request)

    run(busy, attempts=1)  # no aspects of a strap's review, no summary of the capo
    parent = released(warehouse)
    again = plan(warehouse, monkeypatch, parent, attempts=2)
    assert [stage.new for stage in again.stages] == [1, 1, 2]
    assert set(again.tokens_of_item) == {"strap", "capo"}
    told = json.dumps({"summary": "A capo with a spring, for guitars."})
    _, backend = run(lambda r: told if r.stage == "item_summaries" else echo(r), days=1, parent=parent, attempts=2)
    assert len(backend.asked) == again.total.new


def test_the_shards_of_a_night_are_accounted_for_one_by_one(warehouse: Warehouse, run: Run) -> None:
    run(names=())
    _, shards, _ = shards_then_stages(warehouse, max_shards=2, shard_tokens=1)
    for shard in shards:
        usage = shard["llm"]
        assert usage["asked"] + usage["cached"] == sum(usage["outcomes"].values()) == usage["asked"]


def test_a_stage_that_may_start_no_engine_says_what_is_missing(warehouse: Warehouse, run: Run) -> None:
    run(names=())
    with pytest.raises(TransientError, match=r"10 of 10 requests got no answer .*clear extraction_plan"):
        review_aspects.job(night(warehouse), Namespace(engine=False))
    assert not warehouse.exists("review_aspects")


def test_a_ceiling_stops_the_night_at_its_plan(
    warehouse: Warehouse, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(names=())
    with pytest.raises(PipelineError, match=r"19 new requests of .* tokens.*token_ceiling \(10,000\)"):
        extraction_plan.job(night(warehouse, token_ceiling=10_000), Namespace())
    assert "item_personas" in capsys.readouterr().err  # the plan that shows why
    assert not warehouse.exists("llm_calls")


def test_the_embedded_extractor_needs_no_plan(warehouse: Warehouse) -> None:
    tonight = RunContext(AS_OF, load_config("local"), warehouse, None)
    assert extraction_plan.job(tonight, Namespace())["shards"] == []


def test_a_crash_in_the_middle_costs_what_was_not_written_and_ends_in_the_same_tables(
    warehouse: Warehouse, run: Run, tmp_path: Path
) -> None:
    answered: list[Request] = []

    def dies(request: Request) -> str:
        answered.append(request)
        if len(answered) == 7:
            raise KeyboardInterrupt
        return echo(request)

    with pytest.raises(KeyboardInterrupt):
        run(dies, ("review_aspects",))
    assert not warehouse.exists("review_aspects")
    _, backend = run()
    assert [request.stage for request in backend.asked].count("review_aspects") == 4  # six were answered and kept
    undisturbed = Warehouse(tmp_path / "other")
    made = ("reviews", "items", "item_reviews", "user_histories", "quarantine")
    put_all(undisturbed, {table: rows for table, rows in shop().items() if table in made})
    for stage in STAGES:
        STAGES[stage].job(night(undisturbed), Namespace(engine=True))
    for table in (*STAGES, "quarantine", "llm_calls"):
        assert warehouse.read(table).equals(undisturbed.read(table)), table
