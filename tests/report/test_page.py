"""The page as a whole: a good and a refused night, text of reviewers that stays text, the same bytes again."""

from dataclasses import asdict
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from report.shop import AS_OF, HOSTILE, SUMMARIES, put, recommendation, release

from persona_pipeline.config import PipelineConfig
from persona_pipeline.publish.audit import FailedCheck
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.report import render_report, write_report
from persona_pipeline.report.tables import RunTables
from persona_pipeline.warehouse import Warehouse

CONFIG = PipelineConfig()
CHECK = FailedCheck("user_item_topk.user_coverage", 0.5, 0.95, 1, "unsound", "users with a vector have lists")
FAILURE = str(CHECK)
VOID = {"meta", "br", "rect", "line"}


class Outline(HTMLParser):
    """Tags opened, and whether each was closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def published(warehouse: Warehouse) -> Warehouse:
    """The same night, its candidates published."""
    for table in ("user_item_topk", "default_topk"):
        put(warehouse, table, staged_tables(warehouse).read(table).to_pylist())
    put(warehouse, "releases", [release("published", [], warehouse.versions())])
    return warehouse


def page(warehouse: Warehouse, row: dict[str, Any]) -> str:
    return render_report(warehouse, AS_OF, row, CONFIG, SUMMARIES)


def row_of(warehouse: Warehouse) -> dict[str, Any]:
    (row,) = warehouse.read("releases").to_pylist()
    return dict(row)


def test_text_of_reviewers_stays_text(published: Warehouse) -> None:
    text = page(published, row_of(published))
    assert HOSTILE not in text
    assert text.count("&lt;script&gt;") > 5
    outline = Outline(text)
    assert outline.open == []
    assert "script" not in outline.tags
    assert all(address.startswith("#") for address in outline.addresses)


def test_a_published_night(published: Warehouse) -> None:
    text = page(published, row_of(published))
    assert "✓ Published" in text
    assert "Best card" in text
    assert "4 reviews</td>" in text  # aspects redone
    assert "6 reviews</td>" in text  # and reused
    assert "3 reviews lie on or after 2024-06-30" in text
    assert "Items that may not be recommended: 2 recalled, 1 delisted." in text
    assert "1 min 1 s" in text
    assert "15 stages have no summary" in text  # two left one, and the release row speaks for releases


def test_a_refused_night_says_why_and_what_readers_keep(warehouse: Warehouse) -> None:
    earlier = {**release("published", [], {}, "2024-06-29-bbbb"), "as_of": AS_OF - timedelta(days=1)}
    odd = FailedCheck("items.odd", None, 1, None, "unsound", f"odd {HOSTILE}")
    row = release("refused", [FAILURE, str(odd)], warehouse.versions()) | {
        "failed_checks": [asdict(CHECK), asdict(odd)]
    }
    put(warehouse, "releases", [earlier, row])
    text = page(warehouse, row)
    assert "✗ Refused: 2 checks failed" in text
    assert "users with a vector have lists" in text
    assert "expected at least 0.95 and at most 1" in text
    assert "Readers keep release <code>2024-06-29-bbbb</code> of 2024-06-29" in text
    assert "candidate, not published" in text
    assert "user coverage (failed)" in text
    assert "odd &lt;script&gt;" in text


def test_a_refused_first_night_leaves_readers_with_nothing(warehouse: Warehouse) -> None:
    assert "readers have no recommendations yet" in page(warehouse, release("refused", ["x"], {}))


def test_what_people_decided_is_told(published: Warehouse) -> None:
    told = [FAILURE, "accepted by ana: new prompt"]
    decided = {"reasons": told, "failed_checks": [asdict(CHECK)]}
    text = page(published, {**row_of(published), **decided})
    assert "It is far from the night before, and was let through." in text
    assert "accepted by ana: new prompt" in text
    assert '<span class="tag bad">1 failed</span>' in text
    put(published, "releases", [{**row_of(published), "verdict": "rolled_back", "reasons": [f"rolled back {HOSTILE}"]}])
    text = page(published, row_of(published))
    assert "✓ Published, then rolled back" in text
    assert "no check failed" in text
    assert HOSTILE not in text
    waiting = page(published, {**release("accepted", told, {}), **decided})
    assert "✗ Refused: 1 check failed" in waiting
    assert "candidate, not published" in waiting


def test_a_night_without_candidates_still_has_a_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = Warehouse(tmp_path_factory.mktemp("empty"))
    text = page(empty, {**release("refused", ["x"], {}), "encoder_id": None})
    assert "No user has a list" in text
    assert Outline(text).open == []


def test_a_page_shows_its_own_night_after_later_ones(published: Warehouse) -> None:
    row = row_of(published)
    before = page(published, row)
    put(published, "user_item_topk", [recommendation("u1", 1, "Later card")])
    later = {**release("published", [], published.versions(), "2024-07-01-cccc"), "as_of": AS_OF + timedelta(days=1)}
    put(published, "releases", [row, later])
    assert RunTables(published, later).read("user_item_topk")["item_title"].to_pylist() == ["Later card"]
    assert page(published, row) == before


def test_a_rerun_writes_the_same_bytes(published: Warehouse) -> None:
    path = write_report(published, AS_OF, row_of(published), CONFIG, SUMMARIES)
    first = path.read_bytes()
    later = {**SUMMARIES, "report": {"seconds": 9.9}}
    assert write_report(published, AS_OF, row_of(published), CONFIG, later).read_bytes() == first
    assert path.relative_to(published.root).as_posix() == "_reports/2024-06-30.html"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert str(published.root) not in first.decode()
