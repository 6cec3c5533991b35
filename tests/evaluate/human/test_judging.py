"""A sample of a release is written, judged, taken back, and reported with intervals."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from served import encoder, serve, tables
from typer.testing import CliRunner

from persona_pipeline.commands.app import app
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.evaluate.human.records import PersonaToJudge, read_sample, write_sample
from persona_pipeline.evaluate.human.sampling import sample_explanations, sample_personas
from persona_pipeline.evaluate.human.truth import TrueShare, known_truth, share, show_truth, truth_of
from persona_pipeline.publish.releases import read_released
from persona_pipeline.warehouse import Warehouse


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    made = encoder()
    return serve(tmp_path_factory.mktemp("judging"), tables(made), made)


def test_the_sample_is_of_personas_that_say_something_and_a_larger_one_holds_it(warehouse: Warehouse) -> None:
    everything = sample_personas(warehouse, 1_000)
    assert everything
    assert {record.persona_source for record in everything} == {"embedded"}
    assert sample_personas(warehouse, 2) == everything[:2]
    assert {r.persona_id for r in sample_personas(warehouse, 1_000, "other")} == {r.persona_id for r in everything}
    assert all(record.quotes and not record.judged for record in everything)


def test_explanations_are_those_of_lists(warehouse: Warehouse) -> None:
    listed = set(read_released(warehouse, "user_item_topk")["explanation"].to_pylist())
    found = sample_explanations(warehouse, 1_000)
    assert {record.explanation for record in found} == listed


def test_verdicts_come_back_and_hold_wherever_the_same_is_said(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    write_sample(sample_personas(warehouse, 3), path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, verdict in zip(lines, (True, False, None), strict=True):
        line["verdict"] |= {"true": verdict, "person": verdict, "readable": verdict}
    path.write_text("\n".join(json.dumps(line) for line in lines))
    records = read_sample(path)
    assert [record.judged for record in records] == [True, True, False]
    known = known_truth(records)
    rows = read_released(warehouse, "item_personas").to_pylist()
    judged = {line["persona_id"] for line in lines[:2]}
    assert truth_of([row for row in rows if row["persona_id"] in judged], known) == TrueShare(1, 2)
    row = next(row for row in rows if row["persona_id"] in judged)
    assert truth_of([{**row, "persona_id": "another"}], known).of == 1
    assert truth_of([{**row, "name": "Another"}], known).of == 0


def test_the_report_says_shares_and_intervals_by_what_made_them(warehouse: Warehouse) -> None:
    personas = sample_personas(warehouse, 4)
    for number, record in enumerate(personas[:3]):
        record.verdict.true, record.verdict.readable = number > 0, True
        record.persona_source = "llm" if number else "embedded"
    told = sample_explanations(warehouse, 1)
    told[0].verdict.sensible, told[0].verdict.objection = True, False
    printed = StringIO()
    show_truth([*personas, *told], Console(width=160, file=printed))
    text = printed.getvalue()
    assert "2/3 = 67% [21%, 94%]" in text
    assert "source llm" in text
    assert "1 not judged yet" in text
    assert "objection" in text


def test_wilson_by_hand() -> None:
    low, high = TrueShare(57, 60).interval()
    assert (round(low, 4), round(high, 4)) == (0.8630, 0.9829)
    assert TrueShare(0, 0).interval() == (0.0, 1.0)
    assert str(TrueShare(0, 0)) == "-"
    assert share([True, None, False, True]) == TrueShare(2, 3)


def test_what_is_wrong_is_named_by_file_line_and_field(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    records: list[PersonaToJudge] = sample_personas(warehouse, 2)
    write_sample(records, path)
    with pytest.raises(PipelineError, match="exists, and may hold verdicts"):
        write_sample(records, path)
    path.write_text(path.read_text().replace('"true":null', '"true":"perhaps"', 1))
    with pytest.raises(PipelineError, match=r"line 1: persona.verdict.true"):
        read_sample(path)
    with pytest.raises(PipelineError, match="no such file"):
        read_sample(tmp_path / "nothing")


def test_by_command(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    ran = CliRunner().invoke(
        app, ["personas", "sample", "--n", "2", "--output", str(path), "--warehouse", str(warehouse.root)]
    )
    assert ran.exit_code == 0, ran.output
    assert len(read_sample(path)) == 2
    assert CliRunner().invoke(app, ["personas", "truth", str(path)]).exit_code == 0
