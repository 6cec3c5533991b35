"""The paper's own example gives its figures to the digit; what is malformed is named by file, line and key."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from persona_pipeline.commands.app import app
from persona_pipeline.core.errors import SourceError
from persona_pipeline.evaluate.published_rankings import evaluate_published
from persona_pipeline.evaluate.ranking_figures import show_ranking

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "persona4rec_amazon" / "eval"
REFERENCE = {  # METHOD.md, "Reference figures"
    5: (0.3043, 0.1728, 0.2052),
    10: (0.4565, 0.1934, 0.2548),
    20: (0.6957, 0.2101, 0.3153),
}
needs_sample = pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"the published example is not at {SAMPLE}")


@needs_sample
def test_the_reference_figures() -> None:
    found = evaluate_published(SAMPLE / "candidate.jsonl", SAMPLE / "gt.jsonl")
    figures = found.figures["all"]
    assert found.users == {"all": 46}
    for k, expected in REFERENCE.items():
        assert tuple(round(figures[f"{metric}@{k}"].value, 4) for metric in ("hit", "mrr", "ndcg")) == expected


@needs_sample
def test_a_pad_keeps_its_place(tmp_path: Path) -> None:
    """Without the pads the example's figures at 20 would be others, so that the reference does tell."""
    lines = [json.loads(line) for line in (SAMPLE / "candidate.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["results"] = [place for place in line["results"] if place["item_id"] != "[PAD]"]
    found = evaluate_published(write(tmp_path / "c.jsonl", lines), SAMPLE / "gt.jsonl")
    assert round(found.figures["all"]["mrr@20"].value, 4) == 0.2106


def write(file: Path, lines: Sequence[object]) -> Path:
    """JSON lines; strings as they are."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
    return file


def listed(user: str, *items: str) -> dict[str, object]:
    return {"user_id": user, "results": [{"item_id": item, "score": 0.5} for item in items]}


def pair(user: str, item: str) -> dict[str, object]:
    return {"user_id": user, "item_id": item, "rating": 5.0}


CANDIDATES = [
    listed("ana", "capo", "[PAD]", "[PAD]", "strap"),
    "",
    listed("ben", "tuner"),
    listed("cleo"),
    listed("eve", "capo"),
]
TRUTH = [pair("ana", "strap"), pair("ben", "tuner"), pair("ben", "tuner"), pair("cleo", "capo"), pair("dan", "capo")]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "c.jsonl", CANDIDATES), write(tmp_path / "gt.jsonl", TRUTH)


def test_by_hand(files: tuple[Path, Path]) -> None:
    """Ana's target is fourth, Ben's first and named twice, Cleo's list is empty."""
    found = evaluate_published(*files)
    assert found.users == {"all": 3}
    assert (found.without_truth, found.without_candidates, found.without_reviews) == (["eve"], ["dan"], [])
    figures = {name: figure.value for name, figure in found.figures["all"].items()}
    assert figures["hit@1"] == figures["recall@1"] == pytest.approx(1 / 3)
    assert figures["hit@5"] == pytest.approx(2 / 3)
    assert figures["mrr@5"] == pytest.approx((1 / 4 + 1) / 3)


def test_reviews_add_the_slices(tmp_path: Path, files: tuple[Path, Path]) -> None:
    reviews = [pair("ana", item) for item in ("capo", "tuner", "picks")] + [pair("ben", "capo"), pair("zoe", "picks")]
    found = evaluate_published(*files, write(tmp_path / "reviews.jsonl.gz", reviews))
    # Cleo has no review, Ben one, Ana three; strap has none, tuner one, capo and picks two.
    assert found.users == {"all": 3, "cold": 1, "warm": 1, "tail_p20": 1, "head_p80": 1, "tail_80": 3}
    assert found.figures["tail_p20"]["mrr@5"].value == 1 / 4
    assert found.figures["warm"]["mrr@5"].value == 1 / 4
    assert found.figures["cold"]["mrr@5"].value == found.figures["head_p80"]["mrr@5"].value == 0
    assert found.without_reviews == ["cleo"]


def test_the_order_of_lines_is_nothing(tmp_path: Path, files: tuple[Path, Path]) -> None:
    turned = write(tmp_path / "c2.jsonl", CANDIDATES[::-1]), write(tmp_path / "gt2.jsonl", TRUTH[::-1])
    assert evaluate_published(*turned) == evaluate_published(*files)


def test_for_people_and_for_machines(files: tuple[Path, Path]) -> None:
    found = evaluate_published(*files, files[1])
    console = Console(width=120)
    with console.capture() as shown:
        show_ranking(found, console)
    assert "3 users, mean and 95% interval" in shown.get()
    assert "0.4167 (0.000-1.000)" in shown.get()
    assert "1 user with ground truth but no candidates: left out, as the published code does (dan)" in shown.get()
    arguments = ["evaluate-ranking", "--candidates", str(files[0]), "--ground-truth", str(files[1]), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    machine = json.loads(done.stdout)
    assert machine["figures"]["all"]["mrr@10"]["value"] == pytest.approx(5 / 12)
    assert machine["without_candidates"] == ["dan"]


@pytest.mark.parametrize(
    ("candidates", "truth", "fault"),
    [
        ([], TRUTH, "c.jsonl: the file is empty"),
        ([*CANDIDATES, "{"], TRUTH, "c.jsonl, line 6: Invalid JSON"),
        ([*CANDIDATES[:1], pair("ben", "capo")], TRUTH, "c.jsonl, line 2: key results: Field required; expected {"),
        ([listed("ana", "capo", "")], TRUTH, "line 1: key results.1.item_id: String should have at least 1 character"),
        ([{"user_id": 7, "results": []}], TRUTH, "c.jsonl, line 1: key user_id: Input should be a valid string"),
        ([*CANDIDATES, listed("ana")], TRUTH, "c.jsonl, line 6: user_id ana has a line before"),
        ([listed("ana", "a", "b", "a")], TRUTH, "c.jsonl, line 1: results hold item_id a more than once"),
        (CANDIDATES, [pair("ana", "[PAD]")], "gt.jsonl, line 1: item_id is [PAD], which stands for no item"),
        (CANDIDATES, [{"user_id": "ana"}], "gt.jsonl, line 1: key item_id: Field required"),
        (CANDIDATES, [pair("zoe", "capo")], "have no user_id in common (ana in the one, zoe in the other)"),
    ],
)
def test_malformed(tmp_path: Path, candidates: list[object], truth: list[object], fault: str) -> None:
    with pytest.raises(SourceError) as raised:
        evaluate_published(write(tmp_path / "c.jsonl", candidates), write(tmp_path / "gt.jsonl", truth))
    assert fault in str(raised.value)


def test_unreadable(tmp_path: Path, files: tuple[Path, Path]) -> None:
    with pytest.raises(SourceError, match=r"nowhere.jsonl: cannot be read: No such file"):
        evaluate_published(tmp_path / "nowhere.jsonl", files[1])
    broken = write(tmp_path / "r.jsonl.gz", TRUTH)
    broken.write_bytes(broken.read_bytes()[:-6])
    with pytest.raises(SourceError, match=r"r.jsonl.gz: gzip file is truncated or damaged after line 5"):
        evaluate_published(*files, broken)
