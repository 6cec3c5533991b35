"""Requests that make no sense are refused before anything runs; who the others are held against."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from persona_pipeline.backtest import BacktestRequest
from persona_pipeline.backtest.models import VALIDATION, reference_of
from persona_pipeline.backtest.split_runs import SplitRuns
from persona_pipeline.core.errors import ConfigError, PipelineError, SourceError, TransientError
from persona_pipeline.evaluate.results import Evaluated
from persona_pipeline.orchestrate.local import LocalRun

CONSOLE = Console(quiet=True)


def request(folder: Path, **other: object) -> BacktestRequest:
    line = {"user_id": "u1", "item_id": "i1", "rating": 4, "text": "Warm tone.", "timestamp": "2024-06-29"}
    (folder / "reviews.jsonl").write_text(json.dumps(line) + "\n")
    given = {"root": folder / "backtest", "source": "jsonl", "reviews": folder / "reviews.jsonl"} | other
    return BacktestRequest(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "error", "said"),
    [
        ({"split": "last-out"}, ConfigError, "--split last-out: expected leave-last-out or a date such as"),
        ({"split": "2024-06-30"}, ConfigError, "--split 2024-06-30: reviews count up to 2024-06-30, exclusive"),
        ({"source": "ebay"}, ConfigError, "source ebay: no such adapter"),
        ({"reviews": Path("gone.jsonl")}, SourceError, "gone.jsonl"),
        ({"config": "huge"}, ConfigError, "no packaged profile of that name"),
        ({"extractor": "oracle"}, ConfigError, "extraction.extractor"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, other: dict[str, object], error: type[PipelineError], said: str
) -> None:
    with pytest.raises(error, match=said):
        SplitRuns(request(tmp_path, **other), CONSOLE)
    assert not (tmp_path / "backtest").exists()


def test_nothing_is_read_of_a_folder_that_is_still_being_filled(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/part-0.json.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "mine.yaml").write_text("reviews: {wait_minutes: 0}\n")
    with pytest.raises(TransientError, match="is still being filled"):
        SplitRuns(request(tmp_path, reviews=tmp_path / "in", config=str(tmp_path / "mine.yaml")), CONSOLE)


def test_inputs_are_known_by_their_content(tmp_path: Path) -> None:
    first = SplitRuns(request(tmp_path), CONSOLE)
    assert first.as_of == date(2024, 6, 30)
    assert SplitRuns(request(tmp_path), CONSOLE).inputs == first.inputs
    assert SplitRuns(request(tmp_path, as_of=date(2024, 7, 1)), CONSOLE).inputs != first.inputs
    (tmp_path / "more").mkdir()
    other = request(tmp_path / "more")
    assert other.reviews
    other.reviews.write_text(other.reviews.read_text().replace("Warm", "Cold"))
    assert SplitRuns(other, CONSOLE).inputs != first.inputs


def test_candidates_are_refused_unless_they_were_made_without_the_answers(tmp_path: Path) -> None:
    (tmp_path / "lists.csv").write_text("user_id,item_id,rank\nu1,i1,1\n")
    config = tmp_path / "mine.yaml"
    config.write_text("candidates: {file: lists.csv}\n")
    with pytest.raises(ConfigError, match=r"lists\.csv: a backtest cannot see .* candidates\.blind: true"):
        SplitRuns(request(tmp_path, config=str(config)), CONSOLE)
    config.write_text("candidates: {file: lists.csv, blind: true}\n")
    first = SplitRuns(request(tmp_path, config=str(config)), CONSOLE)
    assert first.inputs != SplitRuns(request(tmp_path), CONSOLE).inputs
    (tmp_path / "lists.csv").write_text("user_id,item_id,rank\nu1,i2,1\n")
    assert SplitRuns(request(tmp_path, config=str(config)), CONSOLE).inputs != first.inputs


def test_every_night_shares_texts_and_answers_and_lists_reach_as_far_as_they_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("user_item_topk: {k: 5, exclude_reviewed: false}\nencoders: {steps: 7}\n")
    asked = request(tmp_path, config=str(tmp_path / "mine.yaml"), extractor="vllm", cache=tmp_path / "shop")
    split_runs = SplitRuns(asked, CONSOLE)
    made: list[LocalRun] = []
    monkeypatch.setattr(SplitRuns, "run", lambda _, night, __: made.append(night))
    split_runs.everything()
    config = made[0].config
    assert config.extraction.llm.ledger == str(tmp_path / "shop")
    assert (split_runs.root / "all" / "text_embeddings").resolve() == tmp_path / "shop" / "text_embeddings"
    assert (config.user_item_topk.k, config.user_item_topk.exclude_reviewed) == (20, True)
    assert (config.encoders.steps, config.extraction.extractor) == (7, "vllm")
    split_runs.everything()  # once more over the link that is there
    assert made[0] == made[1]


def test_a_table_in_the_place_of_the_shared_one_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SplitRuns, "run", lambda *_: {})
    (tmp_path / "backtest" / "all" / "text_embeddings").mkdir(parents=True)
    with pytest.raises(PipelineError, match=r"all/text_embeddings is a table of its own"):
        SplitRuns(request(tmp_path), CONSOLE).everything()


def test_the_reference_is_the_baseline_that_did_best_on_validation() -> None:
    nothing = np.empty((0, 20), dtype=np.int64)
    persona = Evaluated("persona", 0, {"seed": 0}, nothing)
    runs = [persona, *(Evaluated(name, 0, {VALIDATION: n}, nothing) for name, n in (("knn", 0.1), ("ease", 0.2)))]
    assert reference_of(runs) == "ease"
    assert reference_of([persona]) == "persona"
