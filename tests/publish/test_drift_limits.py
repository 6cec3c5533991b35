"""Last night against tonight: what is measured, which limits hold, and what makes them wider."""

from datetime import date
from typing import Any

import pytest
from helpers import AS_OF, Row, put, put_all, shop
from publishing import TONIGHT, run

from persona_pipeline.config import LimitsConfig, PipelineConfig, ReleasesConfig, load_config
from persona_pipeline.publish.audit import _validate, audit, measure
from persona_pipeline.publish.drift_limits import audit_parameters, changes_since
from persona_pipeline.publish.releases import Release, served
from persona_pipeline.warehouse import Warehouse

CONFIG = load_config("local", {"user_item_topk": {"k": 2}})


def parameters(warehouse: Warehouse, parent: Release | None = None, encoder_id: str = "enc1") -> dict[str, Any]:
    return audit_parameters(warehouse, TONIGHT, CONFIG, parent, encoder_id)


@pytest.fixture
def parent(warehouse: Warehouse) -> Release:
    run(warehouse, AS_OF, config=CONFIG)
    found = served(warehouse)
    assert found is not None
    return found


def against(warehouse: Warehouse, parent: Release | None, rows: list[Row]) -> dict[str, float]:
    put_all(warehouse, {"user_item_topk": rows})
    found = measure(warehouse, "user_item_topk", parameters(warehouse, parent), parent)
    return {name: found[name] for name in ("changed_lists", *LimitsConfig.model_fields)}


def test_a_first_night_has_nothing_to_be_far_from(warehouse: Warehouse) -> None:
    assert set(against(warehouse, None, shop()["user_item_topk"]).values()) == {0.0}


def test_distances_by_hand(warehouse: Warehouse, parent: Release) -> None:
    """Four users with lists of two: scores 0.6 and 0.5, four times each; five items, of which four are recommended first."""
    rows = shop()["user_item_topk"]
    assert set(against(warehouse, parent, rows).values()) == {0.0}
    one_item = [dict(row) for row in rows]
    one_item[0]["item_id"] = "tuner"  # ana: capo, picks -> tuner, picks
    assert against(warehouse, parent, one_item) == {
        "changed_lists": 0.25, "replaced": 0.125, "score_shift": 0, "lost_users": 0, "fewer_items": 0,
    }  # fmt: skip
    reordered = [{**row, "rank": 3 - row["rank"]} for row in rows]
    assert against(warehouse, parent, reordered)["changed_lists"] == 0
    higher = [{**row, "score": row["score"] + 0.05} for row in rows]
    assert against(warehouse, parent, higher)["score_shift"] == pytest.approx(0.5)  # from 10% to 90% it was 0.1
    assert against(warehouse, parent, [row for row in rows if row["user_id"] != "dan"])["lost_users"] == 0.25
    shorter = against(warehouse, parent, [row for row in rows if row["rank"] == 1])  # k: 1
    assert (shorter["replaced"], shorter["changed_lists"]) == (0, 0)
    same = [{**row, "item_id": ("capo", "picks")[row["rank"] - 1]} for row in rows]  # to everybody the same two of five
    assert against(warehouse, parent, same)["fewer_items"] == pytest.approx(0.6)


def test_a_night_too_far_off_is_told_apart_from_a_broken_one(warehouse: Warehouse, parent: Release) -> None:
    rows = [{**row, "score": row["score"] + 3} for row in shop()["user_item_topk"]]
    for row in rows:
        row["contributions"] = [{"kind": "popularity", "review_id": None, "item_id": None, "share": row["score"]}]
    put_all(warehouse, {"user_item_topk": rows})
    found = audit(warehouse, parameters(warehouse, parent), parent)
    assert not found.unsound
    assert [str(check) for check in found.failed] == [
        "user_item_topk.score_shift is 30, expected at most 0.5: scores lie where they lay in the parent release"
    ]
    wide = load_config("local", {"user_item_topk": {"k": 2}, "releases": {"limits": {"score_shift": 31}}})
    measured = {"user_item_topk": measure(warehouse, "user_item_topk", parameters(warehouse, parent), parent)}
    assert _validate(measured, audit_parameters(warehouse, TONIGHT, wide, parent, "enc1")) == []


@pytest.mark.parametrize(
    ("encoder", "settings", "told"),
    [
        ("enc1", {}, []),
        ("enc1", {"releases": {"keep": 3}, "report": {"users": 1}, "spark": {"driver_memory": "9g"}}, []),
        (
            "enc1",
            {
                "user_item_topk": {"k": 2, "block_bytes": 2**24, "shelf_bytes": 2**24, "max_changed_share": 0},
                "text_embeddings": {"batch_tokens": 4096, "commit_texts": 100},
                "encoders": {"prior_engine": "spark", "retrain_every_days": 1, "gate_margin": 0.1},
            },
            [],
        ),
        (
            "enc1",
            {"encoders": {"finetune": {"processes": 2, "steps": 7}}},
            ["encoders.finetune.steps 7 after 1000"],
        ),
        ("enc2", {}, ["encoder enc2 after enc1"]),
        ("enc1", {"extraction": {"llm": {"model": "new"}}}, ["extraction.llm.model new after SmolLM2-135M-Instruct"]),
    ],
)
def test_what_people_changed_makes_limits_wider(
    warehouse: Warehouse, parent: Release, encoder: str, settings: Row, told: list[str]
) -> None:
    config = load_config("local", {"user_item_topk": {"k": 2}, **settings})
    assert changes_since(warehouse, config, parent, encoder) == told
    limit = audit_parameters(warehouse, TONIGHT, config, parent, encoder)["max_replaced"]
    defaults = ReleasesConfig()
    assert limit == (defaults.limits_after_change if told else defaults.limits).replaced


def test_a_new_extractor_makes_limits_wider(warehouse: Warehouse, parent: Release) -> None:
    rows = shop()["item_personas"]
    put(warehouse, "item_personas", [{**row, "extractor_version": "embedded-2"} for row in rows[:1]] + rows[1:])
    assert changes_since(warehouse, CONFIG, parent, "enc1") == ["extractor embedded-2"]


def test_limits_after_a_change_are_the_wider() -> None:
    defaults = ReleasesConfig()
    for name, limit in defaults.limits.model_dump().items():
        assert getattr(defaults.limits_after_change, name) > limit


def test_a_first_night_changed_nothing(warehouse: Warehouse) -> None:
    assert changes_since(warehouse, PipelineConfig(), None, "enc1") == []
    assert audit_parameters(warehouse, date(2024, 6, 30), CONFIG, None, "enc1")["as_of"] == "2024-06-30"
