import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from persona_pipeline.commands.app import app
from persona_pipeline.commands.recommendations_console import as_json, show_top, show_why
from persona_pipeline.serving import Recommendations


@pytest.fixture(scope="module")
def shop(shop_served: Path) -> Recommendations:
    return Recommendations(shop_served)


def piped() -> Console:
    return Console(file=io.StringIO(), highlight=False, width=80)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_list_is_one_line_and_its_reason_each(shop: Recommendations) -> None:
    console = piped()
    show_top(shop, "ana", 2, console)
    lines = text(console).splitlines()
    assert lines[0].startswith("  1  Spring capo  capo  0.")
    assert lines[1] == f"     {shop.top('ana')[0].explanation}"
    assert len(lines) == 4
    assert "\x1b" not in text(console)


def test_who_has_no_list_is_told_why(shop: Recommendations) -> None:
    for user, told in (("eve", "no usable history"), ("nobody", "no history to recommend from")):
        console = piped()
        show_top(shop, user, 1, console)
        assert text(console).startswith(f"{user}: {told}")


def test_everything_behind_a_recommendation_is_shown(shop: Recommendations) -> None:
    console = piped()
    show_why(shop, "cleo", "strap", console)
    found, shown = shop.why("cleo", "strap"), text(console)
    for part in (found.persona.name, found.runner_up, "you reviewed Spring capo  cleo-capo", "liked by many people"):
        assert str(part) in shown
    for part in (found.quotes[0].span.quote, found.quotes[0].text, "embedded-1", "enc1", "2024-06-30-a"):
        assert str(part) in shown
    metadata = piped()
    show_why(shop, "ana", "metronome", metadata)
    assert "In the seller's words\n“Metronome”" in text(metadata)


def test_a_terminal_gets_bars(shop: Recommendations) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    show_why(shop, "cleo", "strap", console)
    assert "█" in text(console)


def test_json_holds_it_all(shop: Recommendations) -> None:
    rows = json.loads(as_json(shop.top("ana", 2)))
    assert [row["item_id"] for row in rows] == [row.item_id for row in shop.top("ana", 2)]
    assert rows[0]["changed_as_of"] == "2024-06-30"
    found = json.loads(as_json(shop.why("ana", "capo")))
    assert found["persona"]["name"] == "Quick changers"
    assert found["quotes"][0]["reviewed_at"].startswith("2024-06-09T12:00:00")


def test_commands(shop_served: Path) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--warehouse", str(shop_served)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "Spring capo" in run("top", "ana", "--k", "1")
    assert len(json.loads(run("top", "ana", "--k", "1", "--json"))) == 1
    assert "The persona" in run("why", "ana", "capo", "--release", "2024-06-30-a")
    assert json.loads(run("why", "nobody", "capo", "--json"))["recommendation_source"] == "unknown_user"
