"""Nights of the job `encoders`: settings that are worse are kept out, better ones let in, and people obeyed."""

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from drifting import ENDLESS, FIRST, RECENT, USERS, night, publish
from helpers import Row, arrow

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.errors import BusyError, PipelineError
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import liked_interactions
from persona_pipeline.encoder.finetune.examples import place_of
from persona_pipeline.encoder.training_data import TrainingData, training_data
from persona_pipeline.model_registry.overrides import BEFORE, TABLE, give_override, keep_encoder, read_overrides
from persona_pipeline.model_registry.registry import encoder_row, encoder_rows, settings_of
from persona_pipeline.model_registry.select_settings import SelectedSettings, select_settings
from persona_pipeline.model_selection import challenger
from persona_pipeline.publish.releases import release_rows
from persona_pipeline.publish.releases import served as served_release
from persona_pipeline.warehouse import Warehouse

NOW = datetime(2024, 6, 2, 9, tzinfo=UTC)


def after(days: int) -> date:
    return FIRST + timedelta(days=days)


def served(warehouse: Warehouse) -> str:
    """The encoder of the first night."""
    return str(encoder_rows(warehouse)[-1]["encoder_id"])


def trained(warehouse: Warehouse, days: int, encoders: Row) -> Row:
    """The row of the encoder a night trained, which is then published."""
    summary = night(warehouse, after(days), encoders)
    assert summary["trained"]
    publish(warehouse, after(days), summary["encoder_id"])
    row = encoder_row(warehouse, summary["encoder_id"])
    assert (row["verdict"], row["reasons"]) == (summary["verdict"], summary["reasons"])
    return row


@pytest.fixture
def no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("nothing should be compared")

    monkeypatch.setattr(challenger, "compare_settings", refuse)


def test_the_first_has_nothing_to_be_compared_with(warehouse: Warehouse) -> None:
    row = encoder_row(warehouse, served(warehouse))
    assert (row["verdict"], row["reasons"], row["ndcg_difference"]) == ("first", ["there is no encoder yet"], None)
    assert settings_of(row).half_life == 1.0


def test_worse_settings_are_refused_and_those_served_trained_again(warehouse: Warehouse) -> None:
    row = trained(warehouse, 1, {**ENDLESS, "gate_margin": 0.01})
    assert row["verdict"] == "kept_settings"
    assert row["reasons"][0] == f"settings tried against those of encoder {served(warehouse)}: half_life 1000.0"
    assert "is not above -0.0100" in row["reasons"][1]
    assert row["ndcg_low"] < row["ndcg_difference"] < row["ndcg_high"] < 0
    assert (settings_of(row).half_life, settings_of(row).gate_margin) == (1.0, 0.01)
    assert Encoder.load(warehouse.root / row["artefact"]).config == settings_of(row)


def test_the_gate_is_asked_once(warehouse: Warehouse, request: pytest.FixtureRequest) -> None:
    row = trained(warehouse, 1, ENDLESS)
    request.getfixturevalue("no_comparison")
    again = night(warehouse, after(1), ENDLESS)
    assert again["encoder_id"] == row["encoder_id"]
    assert again["reason"] == "already trained by an earlier attempt at this night"
    tomorrow = night(warehouse, after(2), ENDLESS)  # the refused settings are still configured
    assert (tomorrow["trained"], tomorrow["encoder_id"]) == (False, row["encoder_id"])


def test_better_settings_are_promoted(warehouse: Warehouse) -> None:
    bad = trained(warehouse, 1, {**ENDLESS, "gate_margin": 1.0})
    assert bad["verdict"] == "promoted"  # such is the margin
    row = trained(warehouse, 2, RECENT)
    assert row["verdict"] == "promoted"
    assert settings_of(row).half_life == 1.0
    assert row["ndcg_low"] > 0


@pytest.mark.usefixtures("no_comparison")
def test_a_weekly_refresh_compares_nothing(warehouse: Warehouse) -> None:
    row = trained(warehouse, 7, RECENT)
    assert row["verdict"] == "promoted"
    assert row["reasons"] == [
        "the served encoder is 7 days old, 7 are allowed",
        "its settings are those served: there is nothing to compare",
    ]
    assert row["ndcg_difference"] is None


@pytest.mark.usefixtures("no_comparison")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text_version": "0"}, "cannot be refitted on tonight's texts"),
        ({"settings": '{"half_live": 3}'}, "settings this program does not know or accept: half_live"),
    ],
)
def test_what_cannot_be_refitted_is_replaced(warehouse: Warehouse, change: Row, reason: str) -> None:
    _alter(warehouse, served(warehouse), **change)
    row = trained(warehouse, 8, ENDLESS)
    assert row["verdict"] == "promoted"
    assert reason in row["reasons"][1]


@pytest.mark.usefixtures("no_comparison")
def test_a_pinned_encoder_serves_until_the_pin_is_ended(warehouse: Warehouse) -> None:
    first = served(warehouse)
    versions = warehouse.versions()
    give_override(warehouse, "pin", first, "the sale", NOW)
    for days in (1, 30):
        summary = night(warehouse, after(days), ENDLESS)
        assert (summary["trained"], summary["pin"], summary["encoder_id"]) == (False, True, first)
        assert summary["reason"].startswith("pinned by ")
        assert summary["reason"].endswith(f" after the night {FIRST}: the sale")
    moved = warehouse.versions().items() ^ versions.items()
    assert {table for table, _ in moved} == {TABLE, "runs", "task_runs"}
    give_override(warehouse, "unpin", "", None, NOW)
    assert night(warehouse, after(30), RECENT)["trained"]


def test_an_order_leaves_the_night_it_was_given_after(warehouse: Warehouse) -> None:
    give_override(warehouse, "pin", served(warehouse), None, NOW)
    assert "pin" not in night(warehouse, FIRST, RECENT)
    assert "pin" in night(warehouse, after(1), RECENT)


@pytest.mark.usefixtures("no_comparison")
def test_a_promoted_encoder_serves_until_the_policy_trains(warehouse: Warehouse) -> None:
    first = served(warehouse)
    trained(warehouse, 7, RECENT)
    give_override(warehouse, "promote", first, "its lists sold more", NOW)
    for _ in ("once", "again"):
        summary = night(warehouse, after(8), RECENT)
        assert (summary["trained"], summary["promote"], summary["encoder_id"]) == (False, True, first)
    row = encoder_row(warehouse, first)
    assert (row["verdict"], row["as_of"]) == ("manual", FIRST)
    assert row["reasons"][0].endswith("its lists sold more")
    assert row["reasons"] == [summary["reason"]]
    publish(warehouse, after(8), first)
    kept = night(warehouse, after(13), RECENT)  # its age counts from the promotion, on the seventh
    assert (kept["trained"], kept["encoder_id"], "promote" in kept) == (False, first, False)
    assert night(warehouse, after(14), RECENT)["trained"]


@pytest.mark.usefixtures("no_comparison")
def test_after_a_rollback_a_promotion_is_not_followed_again(warehouse: Warehouse) -> None:
    first = served(warehouse)
    second = trained(warehouse, 7, RECENT)["encoder_id"]
    give_override(warehouse, "promote", first, "its lists sold more", NOW)
    assert night(warehouse, after(8), RECENT)["encoder_id"] == first
    publish(warehouse, after(8), first)
    withdrawn = [{**row, "verdict": "rolled_back"} for row in release_rows(warehouse) if row["as_of"] == after(8)]
    warehouse.upsert("releases", arrow("releases", withdrawn))
    back = served_release(warehouse)
    assert back is not None
    assert night(warehouse, after(9), RECENT)["encoder_id"] == first  # as ordered, once more
    (told,) = keep_encoder(warehouse, back, NOW)
    assert told.endswith(f"is not served again: the next night serves {second}")
    assert night(warehouse, after(9), RECENT)["encoder_id"] == second
    assert keep_encoder(warehouse, back, NOW) == []
    give_override(warehouse, "pin", first, None, NOW)
    (told,) = keep_encoder(warehouse, back, NOW)
    assert told.endswith("`encoders pin --off` ends that")
    assert night(warehouse, after(9), RECENT)["encoder_id"] == first


def test_orders_no_night_can_obey_are_refused(warehouse: Warehouse) -> None:
    with pytest.raises(PipelineError, match=r"there is no encoder enc9 in the table encoders of .*; `persona-pipeline"):
        give_override(warehouse, "pin", "enc9", None, NOW)
    with pytest.raises(PipelineError, match="no encoder is pinned"):
        give_override(warehouse, "unpin", "", None, NOW)
    (warehouse.root / encoder_row(warehouse, served(warehouse))["artefact"] / "head.safetensors").write_bytes(b"?")
    with pytest.raises(PipelineError, match=r"the encoder artefact at .* is damaged, or of another version"):
        give_override(warehouse, "promote", served(warehouse), None, NOW)
    assert not warehouse.exists(TABLE)


def test_nothing_can_be_ordered_before_a_release(warehouse: Warehouse) -> None:
    shutil.rmtree(warehouse.path("releases"))
    with pytest.raises(PipelineError, match=r"nothing has been published in .* yet"):
        give_override(warehouse, "pin", served(warehouse), None, NOW)


@pytest.mark.parametrize("part", ["head.safetensors", "encoder.json", "prior.npz"])
def test_a_night_says_what_to_do_when_the_pinned_encoder_is_gone(warehouse: Warehouse, part: str) -> None:
    first = served(warehouse)
    give_override(warehouse, "pin", first, None, NOW)
    (warehouse.root / encoder_row(warehouse, first)["artefact"] / part).unlink()
    with pytest.raises(
        PipelineError, match=r"artefact.*pinned by .*`persona-pipeline encoders pin --off` ends the pin"
    ):
        night(warehouse, after(1), RECENT)


def test_what_an_older_warehouse_kept_in_a_file_still_holds(warehouse: Warehouse) -> None:
    first = served(warehouse)
    row = {"encoder_id": first, "after": str(FIRST), "given_at": NOW.isoformat(), "by": "ana", "reason": None}
    (warehouse.root / BEFORE).write_text(json.dumps([{"order": "pin", **row}]))
    assert "pin" in night(warehouse, after(1), RECENT)
    give_override(warehouse, "unpin", "", None, NOW)
    assert next((one.override, one.by) for one in read_overrides(warehouse)) == ("pin", "ana")
    assert "pin" not in night(warehouse, after(1), RECENT)


def test_of_two_people_at_once_nobody_loses_an_override(warehouse: Warehouse) -> None:
    first = served(warehouse)
    with ThreadPoolExecutor(2) as people:
        given = [people.submit(_patiently, warehouse, first, who) for who in ("ana", "ben")]
        assert all(one.result() for one in given)
    assert {one.reason for one in read_overrides(warehouse)} == {"ana", "ben"}


def _patiently(warehouse: Warehouse, encoder_id: str, who: str) -> bool:
    for _ in range(200):
        try:
            return bool(give_override(warehouse, "pin", encoder_id, who, NOW))
        except BusyError:
            time.sleep(0.01)
    return False


def test_an_order_whose_base_is_gone_says_what_to_do(warehouse: Warehouse) -> None:
    give_override(warehouse, "promote", served(warehouse), None, NOW)
    about = warehouse.root / encoder_row(warehouse, served(warehouse))["artefact"] / "encoder.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "base_model": "bge-m3@1:512"}))
    with pytest.raises(
        PipelineError, match=r"bge-m3: neither a folder nor an installed .*\(it was promoted by .*names an"
    ):
        night(warehouse, after(1), RECENT)
    with pytest.raises(PipelineError, match="bge-m3: neither a folder nor an installed"):
        give_override(warehouse, "pin", served(warehouse), None, NOW)


def _settled(warehouse: Warehouse, share: float, tuned: Callable[[TrainingData], TrainingData]) -> SelectedSettings:
    """What the gate says of settings that train the base, whose vectors are those of the other base, changed."""
    row = encoder_row(warehouse, served(warehouse))
    data, interactions = (
        training_data(warehouse, row["base_model"], 2.0, EncodersConfig()),
        liked_interactions(warehouse, 2.0),
    )
    config = EncodersConfig.model_validate({**RECENT, "method": "full", "finetune": {"validation_share": share}})
    return select_settings(row, "why", data, lambda: interactions, row["base_model"], config, lambda: tuned(data))


def test_another_base_is_judged_by_users_it_was_not_shown(warehouse: Warehouse) -> None:
    settled = _settled(warehouse, 0.5, lambda data: data)
    assert (settled.verdict, settled.config.method) == ("promoted", "full")
    asked = int((place_of(f"u{n:03}" for n in range(USERS)) < 0.5).sum())
    assert 100 < asked < 150
    assert f"NDCG@10 of {asked} users" in settled.reasons[1]
    assert "each over its own base, for the 50% of users no fine-tune is shown" in settled.reasons[0]

    def shuffled(data: TrainingData) -> TrainingData:
        rows = np.random.default_rng(0).permutation(len(data.interaction_profiles))
        return replace(data, interaction_profiles=data.interaction_profiles[rows], fields=None)

    refused = _settled(warehouse, 0.5, shuffled)
    assert (refused.verdict, refused.config.method) == ("kept_settings", "head")
    assert refused.config == settings_of(encoder_row(warehouse, served(warehouse)))


def test_without_users_to_judge_by_no_base_is_trained(warehouse: Warehouse) -> None:
    def refuse(_data: TrainingData) -> TrainingData:
        raise AssertionError("nothing should be trained")

    settled = _settled(warehouse, 0.0, refuse)
    assert settled.verdict == "kept_settings"
    assert "the 0% of users" in settled.reasons[0]
    assert settled.reasons[1] == "no user to compare the encoders on"


@pytest.mark.parametrize("content", ["", "{}", json.dumps([{"order": "pin"}])])
def test_a_damaged_file_of_orders_stops_the_night(warehouse: Warehouse, content: str) -> None:
    (warehouse.root / BEFORE).write_text(content)
    with pytest.raises(PipelineError, match=r"orders.json: cannot be read as a list of orders"):
        night(warehouse, after(1), RECENT)


def _alter(warehouse: Warehouse, encoder_id: str, **change: str) -> None:
    warehouse.upsert("encoders", arrow("encoders", [{**encoder_row(warehouse, encoder_id), **change}]))
