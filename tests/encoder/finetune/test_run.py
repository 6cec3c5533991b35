"""Nights that fine-tune their base: killed and gone on with, kept, replaced, and served again by order."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from drifting import FIRST, build, publish
from helpers import Row, put, state
from night_jobs import run_night
from tiny_base import FILLERS

from persona_pipeline.config import PipelineConfig, load_config
from persona_pipeline.core.errors import PipelineError, TransientError
from persona_pipeline.embeddings.cache import embedder_of
from persona_pipeline.embeddings.model_names import BASES
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.finetune import run
from persona_pipeline.encoder.retrain_policy import TRAINED_ON
from persona_pipeline.model_registry.overrides import give_override
from persona_pipeline.model_registry.registry import encoder_row
from persona_pipeline.warehouse import Warehouse

JOBS = ("text_embeddings", "encoders", "persona_vectors", "user_vectors")
FINETUNE = {"steps": 12, "batch_size": 32, "learning_rate": 1e-3, "checkpoint_every": 4, "validate_every": 6}
FULL = {"method": "full", "steps": 2, "heads": 1, "finetune": FINETUNE}
WORDS = {"a": "travel", "b": "stage"}


def after(days: int) -> date:
    return FIRST + timedelta(days=days)


@pytest.fixture
def shop(tmp_path: Path) -> Warehouse:
    """The drifting shop in words the tiny base knows."""
    found = build(tmp_path / "warehouse")
    rng = np.random.default_rng(3)

    def said(item: str) -> str:
        return " ".join([WORDS[item[0]], *rng.choice(FILLERS, 4)])

    for table in ("item_reviews", "item_personas"):
        rows = found.read(table).to_pylist()
        for row in rows:
            if table == "item_reviews":
                row["evidence"][0]["text"] = said(row["item_id"])
            else:
                row["name"] = said(row["item_id"])
        put(found, table, rows)
    return found


@pytest.fixture
def night(shop: Warehouse, tiny_base: Path) -> Callable[..., dict[str, Row]]:
    def run(days: int, encoders: Row) -> dict[str, Row]:
        file = shop.root / "mine.yaml"
        file.write_text(yaml.safe_dump(settings(tiny_base, encoders)))
        summaries = run_night(shop.root, after(days), Path(), None, file, JOBS)
        publish(shop, after(days), summaries["encoders"]["encoder_id"])
        return summaries

    return run


def settings(tiny_base: Path, encoders: Row) -> Row:
    return {"text_embeddings": {"base_model": str(tiny_base), "max_tokens": 16}, "encoders": encoders}


def said_of(warehouse: Warehouse, item: str, text: str) -> None:
    """A second review of an item."""
    rows = warehouse.read("item_reviews").to_pylist()
    row = next(row for row in rows if row["item_id"] == item)
    row["evidence"].append({**row["evidence"][0], "review_id": f"{item}-new", "text": text})
    put(warehouse, "item_reviews", rows)


def embedded_by(warehouse: Warehouse) -> dict[str, int]:
    """Vectors by base, profiles left out, of this test's bases."""
    found = warehouse.query(
        "SELECT base_model, count(*) AS n FROM text_embeddings WHERE NOT ends_with(base_model, '/mean') GROUP BY 1",
        ["text_embeddings"],
    )
    return {row["base_model"]: row["n"] for row in found.to_pylist() if ":16" in row["base_model"]}


@pytest.mark.slow
def test_nights_over_a_tuned_base(
    shop: Warehouse,
    night: Callable[..., dict[str, Row]],
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # The training is killed after its first checkpoint; nothing of it is to be seen, and the next attempt goes on.
    real, bases = subprocess.run, shop.root / BASES

    def killed(command: list[str], pass_fds: tuple[int, ...], check: bool) -> Any:
        with subprocess.Popen(command, pass_fds=pass_fds) as process:
            while not list(bases.glob(".*.checkpoints/step-*")):
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
        return subprocess.CompletedProcess(command, process.returncode)

    monkeypatch.setattr(subprocess, "run", killed)
    with pytest.raises(TransientError, match="killed by signal 9; run again, it goes on from its last checkpoint"):
        night(0, FULL)
    assert not shop.exists("encoders")
    assert not [path for path in bases.iterdir() if not path.name.startswith(".")]
    monkeypatch.setattr(subprocess, "run", real)
    capfd.readouterr()
    first = night(0, FULL)
    assert "resumed at step 4 of 12" in capfd.readouterr().err
    (folder,) = bases.iterdir()

    untrained = f"{tiny_base}@local:16"
    row = encoder_row(shop, first["encoders"]["encoder_id"])
    assert first["encoders"]["trained"]
    assert row["base_model"].startswith(f"{untrained}+{folder.name}-")
    assert Encoder.load(shop.root / row["artefact"]).base_model == row["base_model"]
    counts = embedded_by(shop)
    assert set(counts) == {untrained, row["base_model"]}
    assert counts[row["base_model"]] == counts[untrained] == first["text_embeddings"]["texts"]
    assert first["persona_vectors"]["vectors"] == 60

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing should be trained")

    monkeypatch.setattr(subprocess, "run", refuse)
    versions = state(shop)
    again = night(0, FULL)
    assert (again["encoders"]["trained"], again["encoders"]["encoder_id"]) == (False, row["encoder_id"])
    assert state(shop) == versions

    # The next night keeps it: what is new is embedded by its base, and by no other.
    said_of(shop, "a00", "loud loud travel")
    kept = night(1, FULL)
    assert (kept["encoders"]["trained"], kept["encoders"]["encoder_id"]) == (False, row["encoder_id"])
    assert (kept["text_embeddings"]["embedded"], kept["text_embeddings"]["new_profiles"]) == (1, 1)
    assert embedded_by(shop) == {untrained: counts[untrained], row["base_model"]: counts[untrained] + 1}

    # A head alone over the untrained base: each side is judged over its own, and what that lacks is embedded tonight.
    head = {"steps": 2, "heads": 1, "gate_margin": 1.0}
    bare = night(2, head)["encoders"]
    assert (bare["trained"], bare["verdict"]) == (True, "promoted")
    assert "method head" in bare["reasons"][0]
    assert "each over its own base, for the 5% of users no fine-tune is shown" in bare["reasons"][0]
    assert encoder_row(shop, bare["encoder_id"])["base_model"] == untrained
    assert embedded_by(shop)[untrained] == counts[untrained] + 1

    # Ordered back, it serves the very night: its base embeds what it has not seen.
    said_of(shop, "b00", "clean clean stage")
    give_override(shop, "promote", row["encoder_id"], None, datetime(2024, 6, 4, tzinfo=UTC))
    ordered = night(3, head)
    assert ordered["encoders"]["encoder_id"] == row["encoder_id"]
    assert embedded_by(shop) == {untrained: counts[untrained] + 1, row["base_model"]: counts[untrained] + 2}
    assert ordered["user_vectors"]["vectors"] == 240

    # Files that are not those its vectors were made by embed nothing.
    (folder / "modules.json").write_text("[]")
    with pytest.raises(PipelineError, match="its files have changed; restore the folder, or serve another encoder"):
        embedder_of(row["base_model"], load_config().text_embeddings, shop).ensure(["simple stage"])


def test_an_id_covers_what_the_base_is_trained_from_and_nothing_else(tiny_base: Path) -> None:
    versions = dict.fromkeys(TRAINED_ON, 3)

    def identity(encoders: Row, **changed: int) -> str:
        config = PipelineConfig.model_validate(settings(tiny_base, {**FULL, **encoders}))
        return run.base_id("base@1:16", config, {**versions, **changed})

    same = identity({})
    for other in ({"steps": 9}, {"seed": 4}, {"finetune": {**FINETUNE, "processes": 8, "checkpoint_every": 1}}):
        assert identity(other) == same
    different: list[Row] = [{"half_life": 9.0}, {"persona_weight": 1.0}, {"finetune": {**FINETUNE, "steps": 9}}]
    ids = {same, identity({}, reviews=4), *(identity(other) for other in different)}
    assert len(ids) == len(different) + 2


def test_processes_are_torchruns() -> None:
    assert run._python(1) == run._python(1)[:1]
    assert run._python(4)[1:] == ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "4"]


@pytest.mark.parametrize(
    ("code", "processes", "fault", "said"),
    [
        (-9, 1, TransientError, "was killed by signal 9; run again"),
        (1, 1, PipelineError, "ended with 1, see the lines above; run again"),
        (1, 2, TransientError, "ended with 1"),  # what torchrun says of a killed process too
    ],
)
def test_how_a_training_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, processes: int, fault: type[PipelineError], said: str
) -> None:
    config = PipelineConfig.model_validate({"encoders": {"method": "full", "finetune": {"processes": processes}}})
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, code))
    with pytest.raises(PipelineError, match=said) as raised:
        run._train(tmp_path / "base", tmp_path / "data", config)
    assert type(raised.value) is fault


def test_a_training_that_outlived_its_job_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing should be trained")

    base = tmp_path / "base"
    holder = (
        "import fcntl, os, sys, time; fcntl.flock(1, fcntl.LOCK_EX); sys.stderr.write('held'); sys.stderr.flush(); "
    )
    holder += f"time.sleep(0.5); os.mkdir({str(base)!r})"
    with (tmp_path / ".base.lock").open("w") as lock:
        process = subprocess.Popen([sys.executable, "-c", holder], stdout=lock, stderr=subprocess.PIPE)
    with process:
        assert process.stderr is not None
        assert process.stderr.read(4) == b"held"
        monkeypatch.setattr(subprocess, "run", refuse)
        run._train(base, tmp_path / "data", PipelineConfig())
        assert base.is_dir()
