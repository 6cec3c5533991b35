"""`persona-pipeline encoders ...` as typed."""

from datetime import timedelta

import pytest
from drifting import ENDLESS, FIRST, RECENT, night
from typer.testing import CliRunner

from persona_pipeline.commands import app, options
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.model_registry.overrides import read_overrides
from persona_pipeline.model_registry.registry import encoder_rows
from persona_pipeline.warehouse import Warehouse


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.console, "_width", 300)


def encoders(drifting_warehouse: Warehouse, *arguments: str) -> str:
    done = CliRunner().invoke(app.app, ["encoders", *arguments, "--warehouse", str(drifting_warehouse.root)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


@pytest.fixture
def two(drifting_warehouse: Warehouse) -> tuple[str, str]:
    """The encoder served, and one trained with other settings by a night that was not published."""
    second = night(drifting_warehouse, FIRST + timedelta(days=1), {**ENDLESS, "gate_margin": 1.0})["encoder_id"]
    return next(row["encoder_id"] for row in encoder_rows(drifting_warehouse) if row["encoder_id"] != second), second


def test_list(drifting_warehouse: Warehouse, two: tuple[str, str]) -> None:
    first, second = two
    encoders(drifting_warehouse, "pin", second, "--reason", "trying it")
    lines = encoders(drifting_warehouse, "list").splitlines()
    new = next(n for n, line in enumerate(lines) if second in line)
    old = next(n for n, line in enumerate(lines) if first in line)
    assert lines[new].split() == [second, "2024-06-02", "promoted", "pinned"]
    assert lines[new + 1].strip() == "settings half_life 1000.0"
    assert "NDCG@10 of the new settings -0." in lines[new + 2]
    assert lines[old].split() == [first, "2024-06-01", "first", "served"]
    assert "label_agreement" in lines[old + 1]
    assert f"{second} pinned by " in lines[-1]
    assert lines[-1].endswith("after the night 2024-06-01: trying it")


def test_list_before_any_training(shop: Warehouse) -> None:
    assert "no encoder has been trained" in encoders(shop, "list")


def test_compare(drifting_warehouse: Warehouse, two: tuple[str, str]) -> None:
    first, second = two
    worse = encoders(drifting_warehouse, "compare", first, second)
    assert f"{second} has other settings than {first}: half_life 1000.0" in worse
    assert f"{second} would be refused over {first}" in worse
    assert "NDCG@10 of 240 users: 0.0" in worse
    assert f"{first} would be promoted over {second}" in encoders(drifting_warehouse, "compare", second, first)
    with pytest.raises(PipelineError, match="trained with the same settings, on other data"):
        encoders(drifting_warehouse, "compare", first, first)
    with pytest.raises(PipelineError, match="there is no encoder nosuch"):
        encoders(drifting_warehouse, "compare", first, "nosuch")


def test_orders(drifting_warehouse: Warehouse, two: tuple[str, str]) -> None:
    _, second = two
    assert f"from 2024-06-02 on, serves {second}" in encoders(drifting_warehouse, "promote", second)
    assert f"Nights from 2024-06-02 on serve {second} and train none" in encoders(drifting_warehouse, "pin", second)
    assert "retrain as the policy says" in encoders(drifting_warehouse, "pin", "--off")
    given = read_overrides(drifting_warehouse)
    assert [one.override for one in given] == ["promote", "pin", "unpin"]
    assert {str(one.after) for one in given} == {"2024-06-01"}
    assert all(one.by and one.given_at for one in given)
    for arguments in (("pin",), ("pin", second, "--off")):
        with pytest.raises(PipelineError, match="expected an encoder id, or --off"):
            encoders(drifting_warehouse, *arguments)
    assert (
        night(drifting_warehouse, FIRST + timedelta(days=1), RECENT)["encoder_id"] == second
    )  # the promotion still stands
