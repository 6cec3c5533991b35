"""What `persona-pipeline releases` prints."""

import io
from datetime import timedelta

import pytest
from helpers import AS_OF
from publishing import FAILED, propose, run
from rich.console import Console

from persona_pipeline.commands.releases_console import show_diff, show_release, show_releases
from persona_pipeline.config import load_config
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.publish.releases import release_of, release_row
from persona_pipeline.publish.rollback import roll_back
from persona_pipeline.warehouse import Warehouse

THREE = [AS_OF + timedelta(days=n) for n in range(3)]


@pytest.fixture
def ids(warehouse: Warehouse) -> list[str]:
    """Published, published, refused."""
    first = run(warehouse, THREE[0], config=load_config("local"))["release_id"]
    propose(warehouse, 0.65)
    other = load_config("local", {"item_reviews": {"max_reviews": 40}})
    second = run(warehouse, THREE[1], config=other)["release_id"]
    propose(warehouse, -1.0)
    return [first, second, run(warehouse, THREE[2], FAILED)["release_id"]]


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def line_of(console: Console, name: str) -> str:
    return next(" ".join(line.split()) for line in printed(console).splitlines() if name in line)


def test_list(warehouse: Warehouse, ids: list[str], console: Console) -> None:
    show_releases(warehouse, console)
    lines = printed(console).splitlines()
    assert [line.split()[1] for line in lines if line[0] != " "] == ids[::-1]  # newest first
    assert line_of(console, ids[2]) == f"{THREE[2]} {ids[2]} refused enc1"
    assert lines[1].strip() == str(FAILED.failed[0])
    assert line_of(console, ids[1]) == f"{THREE[1]} {ids[1]} published served enc1"
    assert line_of(console, ids[0]) == f"{THREE[0]} {ids[0]} published enc1"


def test_list_after_a_rollback_and_a_clean_up(warehouse: Warehouse, ids: list[str], console: Console) -> None:
    roll_back(warehouse, ids[0], "ana", "[red]why[/]")
    show_releases(warehouse, console)
    assert line_of(console, "served") == f"{THREE[0]} {ids[0]} published served enc1"
    assert line_of(console, "by ana") == f"rolled back to {ids[0]} by ana: [red]why[/]"
    roll_back(warehouse, ids[1], "ana", None)
    for path in warehouse.files(
        "user_item_topk", release_of(release_row(warehouse, ids[0])).versions["user_item_topk"]
    ):
        path.unlink()
    show_releases(warehouse, console)
    assert "published cleaned" in printed(console)


def test_nothing_to_list(warehouse: Warehouse, console: Console) -> None:
    show_releases(warehouse, console)
    assert "no night has been judged in" in printed(console)


def test_show(warehouse: Warehouse, ids: list[str], console: Console) -> None:
    show_release(warehouse, ids[1], console)
    row = release_row(warehouse, ids[1])
    assert line_of(console, "verdict") == "verdict published (served)"
    assert line_of(console, "parent") == f"parent {ids[0]}"
    assert line_of(console, "configuration") == f"configuration {row['config_digest']}"
    for entry in row["table_versions"]:
        assert f"{entry['table']} {entry['version']}" in " ".join(printed(console).split())
    assert line_of(console, "user_coverage") == "user_item_topk.user_coverage 1"


def test_diff(warehouse: Warehouse, ids: list[str], console: Console) -> None:
    show_diff(warehouse, ids[0], ids[1], console)
    assert line_of(console, "nights") == f"nights {THREE[0]} to {THREE[1]}"
    assert line_of(console, "encoder ") == "encoder enc1, the same"
    assert line_of(console, "settings") == "settings item_reviews.max_reviews 40 after 60"
    assert line_of(console, "users  ") is not None
    assert line_of(console, "other ") == "other 0 0 0 0 0 1"  # one score
    assert line_of(console, "all ") == "all 0 0 0 0 0 1"


def test_diff_of_what_nobody_saw(warehouse: Warehouse, ids: list[str], console: Console) -> None:
    with pytest.raises(PipelineError, match=f"{ids[2]} was refused: readers have never seen it"):
        show_diff(warehouse, ids[1], ids[2], console)
    for path in warehouse.files(
        "user_item_topk", release_of(release_row(warehouse, ids[0])).versions["user_item_topk"]
    ):
        path.unlink()
    with pytest.raises(PipelineError, match=f"{ids[0]} is no longer kept"):
        show_diff(warehouse, ids[0], ids[1], console)
