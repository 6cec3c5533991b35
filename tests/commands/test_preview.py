"""`quarantine` and `personas diff` on a fixture engine: what they print, what they ask, and what they leave alone."""

import json
from argparse import Namespace
from collections.abc import Callable
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixture_engine import FixtureBackend, Reply, WordCounts, echo
from helpers import AS_OF, put, put_all, shop
from typer.testing import CliRunner, Result

from jobs import item_personas, item_summaries, review_aspects
from persona_pipeline.commands.app import app
from persona_pipeline.config import load_config
from persona_pipeline.core.errors import ConfigError, PipelineError
from persona_pipeline.embeddings import cache
from persona_pipeline.extract import extractors
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.publish.releases import served
from persona_pipeline.runs.context import RunContext
from persona_pipeline.warehouse import Warehouse

MADE = ("reviews", "items", "item_reviews", "user_histories", "quarantine")
CACHES = ("llm_calls", "text_embeddings")
LIES = {
    "name": "Yacht owners",
    "description": "Captains who cross oceans with large boats.",
    "preference_rationale": "Sails very well.",
}
Answer = Callable[[Reply], FixtureBackend]


def sometimes(request: Request) -> str:
    """Breaks off about one review, and lies about one item."""
    if request.subject == "ana-strap" and request.sampling.seed == 0:
        return '{"quality[bold]'
    if request.subject == "picks" and request.stage == "item_personas":
        reply = json.loads(echo(request))
        return json.dumps({"personas": [persona | LIES for persona in reply["personas"]]})
    return echo(request)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    found = Warehouse(tmp_path / "wh")
    put_all(found, {table: rows for table, rows in shop().items() if table in MADE})
    return found


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """From now on every engine replies like this."""
    monkeypatch.setattr(cache, "TextModel", WordCounts)
    monkeypatch.setenv("COLUMNS", "100")

    def replies(reply: Reply) -> FixtureBackend:
        backend = FixtureBackend(reply)
        monkeypatch.setattr(extractors, "_backend", lambda _: backend)
        return backend

    return replies


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., str]:
    def write(name: str = "mine.yaml", **llm: Any) -> str:
        settings = {
            "extractor": "vllm",
            "reviews_per_persona": 1,
            "llm": {"method": "per_review", "attempts": 1, **llm},
        }
        (tmp_path / name).write_text(yaml.safe_dump({"extraction": settings}))
        return str(tmp_path / name)

    return write


@pytest.fixture
def stricter(tmp_path: Path) -> str:
    """A folder with another persona prompt."""
    packaged = resources.files("persona_pipeline.extract") / "prompts" / "personas_system.jinja2"
    (tmp_path / "prompts").mkdir()
    text = packaged.read_text(encoding="utf-8") + "Be strict.\n"
    (tmp_path / "prompts" / "personas_system.jinja2").write_text(text)
    return str(tmp_path / "prompts")


def night(warehouse: Warehouse, config: str, days: int = 0) -> dict[str, dict[str, Any]]:
    """The three stages, and a release of what they made."""
    tonight = RunContext(AS_OF + timedelta(days=days), load_config(config), warehouse, served(warehouse))
    jobs = (review_aspects, item_summaries, item_personas)
    summaries = {job.__name__.removeprefix("jobs."): job.job(tonight, Namespace(engine=True)) for job in jobs}
    release = {
        "release_id": f"r{days}", "as_of": tonight.as_of, "verdict": "published", "reasons": [], "encoder_id": "enc1",
        "parent_release_id": None, "config_digest": "c", "config": "{}", "metrics": [],
        "table_versions": [{"table": table, "version": v} for table, v in warehouse.versions().items()],
    }  # fmt: skip
    put(warehouse, "releases", [*warehouse.read("releases").to_pylist(), release])
    return summaries


def command(warehouse: Warehouse, *arguments: str, answers: str = "") -> Result:
    done = CliRunner().invoke(app, [*arguments, "--warehouse", str(warehouse.root)], input=answers)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def printed(warehouse: Warehouse, *arguments: str) -> list[str]:
    done = command(warehouse, *arguments)
    assert done.exit_code == 0, done.output
    return [" ".join(line.split()) for line in done.output.splitlines()]


def fault(warehouse: Warehouse, *arguments: str) -> BaseException:
    done = CliRunner().invoke(app, [*arguments, "--warehouse", str(warehouse.root)])
    assert done.exception is not None
    return done.exception


def others(warehouse: Warehouse) -> dict[str, int]:
    return {table: version for table, version in warehouse.versions().items() if table not in CACHES}


def test_list_counts_and_then_shows(warehouse: Warehouse, answer: Answer, configured: Callable[..., str]) -> None:
    assert printed(warehouse, "quarantine", "list") == [
        "nothing is quarantined: the last night's extraction refused no output"
    ]
    answer(sometimes)
    night(warehouse, configured())
    lines = printed(warehouse, "quarantine", "list")
    assert lines[:3] == ["stage reason outputs", "item_personas ungrounded 1", "review_aspects invalid_json 1"]
    assert any(line.startswith("picks Nylon picks, pack of 12 ungrounded Yacht owners: nothing") for line in lines)
    assert any(line.startswith("ana-strap Padded guitar strap invalid_json") for line in lines)
    assert all(len(line) <= 100 for line in command(warehouse, "quarantine", "list").output.splitlines())
    only = printed(warehouse, "quarantine", "list", "--stage", "review_aspects")
    assert not any(line.startswith("picks") for line in only)
    assert "the first 1 of 2; --limit shows more, --stage and --reason fewer" in printed(
        warehouse, "quarantine", "list", "--limit", "1"
    )
    assert "none of that stage and reason" in printed(warehouse, "quarantine", "list", "--reason", "unsafe")


def test_list_where_no_night_was(tmp_path: Path) -> None:
    lines = printed(Warehouse(tmp_path / "empty"), "quarantine", "list")
    assert "has no table quarantine yet: no night has extracted anything there" in " ".join(lines)


def test_show_has_all_there_is_to_judge_by(
    warehouse: Warehouse, answer: Answer, configured: Callable[..., str]
) -> None:
    answer(lambda request: '{"quality[bold]\x1b[2J' if request.subject == "ana-strap" else sometimes(request))
    night(warehouse, configured(attempts=2))
    lines = printed(warehouse, "quarantine", "show", "ana-strap")
    text = "\n".join(lines)
    assert lines[0] == "ana-strap review_aspects invalid_json"
    assert "Wide and padded, my shoulder does not hurt after a three hour gig." in lines
    assert "the item strap Padded guitar strap 2 of 2 reviews in evidence" in lines
    assert f"has Fans of 1, llm, 1 reviewer, since {AS_OF}" in lines
    first = text.index("reply 1 invalid_json")
    assert first < text.index("seed 0, temperature 0,") < text.index("reply 2") < text.index("seed 1, temperature 0.7,")
    assert '{"quality[bold]�[2J' in lines  # neither markup nor an escape sequence
    assert "\x1b[2J" not in command(warehouse, "quarantine", "show", "ana-strap").output
    plain = f"has What reviewers say, quotes, 1 reviewer, since {AS_OF}"
    assert plain in printed(warehouse, "quarantine", "show", "picks")


def test_show_of_an_unknown_subject_names_what_to_do(warehouse: Warehouse) -> None:
    error = fault(warehouse, "quarantine", "show", "nobody", "--stage", "item_personas")
    assert isinstance(error, PipelineError)
    assert str(error).startswith("quarantine show nobody: no output about it is quarantined by item_personas.")
    assert "quarantine list" in str(error)


def test_replay_asks_only_what_is_not_on_record_and_leaves_the_tables(
    warehouse: Warehouse, answer: Answer, configured: Callable[..., str]
) -> None:
    answer(sometimes)
    night(warehouse, configured())
    before = others(warehouse)
    backend = answer(sometimes)
    arguments = ("quarantine", "replay", "--config")
    # The same configuration: every answer is on record, and as bad as it was.
    lines = printed(warehouse, *arguments, configured())
    assert backend.asked == []
    assert "item_personas ungrounded 0 0 1 0" in lines
    assert "review_aspects invalid_json 0 0 1 0" in lines
    # One attempt more: it is asked, once it is confirmed.
    declined = command(warehouse, *arguments, configured(attempts=2), answers="n\n")
    assert declined.exit_code == 1
    assert "Ask 1 new request?" in declined.output
    assert backend.asked == []
    lines = printed(warehouse, *arguments, configured(attempts=2), "--yes")
    assert [request.subject for request in backend.asked] == ["ana-strap"]
    assert any(
        line.startswith("ana-strap invalid_json kept 1 aspect quality_criteria: Wide and padded") for line in lines
    )
    assert "review_aspects invalid_json 1 0 0 0" in lines
    assert "1 request asked, 10 prompt and" in " ".join(lines)
    assert others(warehouse) == before
    # The night that adopts it pays nothing.
    backend = answer(sometimes)
    summaries = night(warehouse, configured(attempts=2), days=1)
    assert "ana-strap" not in [request.subject for request in backend.asked]
    assert summaries["review_aspects"]["refused"] == 0


def test_replay_under_another_prompt_brings_what_the_personas_rest_on(
    warehouse: Warehouse, answer: Answer, configured: Callable[..., str], stricter: str
) -> None:
    answer(sometimes)
    night(warehouse, configured())
    backend = answer(echo)
    mine = configured(prompts=stricter)
    lines = printed(warehouse, "quarantine", "replay", "--config", mine, "--subject", "picks", "--yes")
    assert [(request.stage, request.subject) for request in backend.asked] == [("item_personas", "picks")]
    assert "Be strict." in backend.asked[0].system
    assert any(line.startswith("picks ungrounded kept 2 personas Fans of 1, Fans of 2") for line in lines)
    assert "item_personas 0 1 1 1" in [" ".join(line.split()[:5]) for line in lines]  # the plan: new, not on record
    backend = answer(echo)
    night(warehouse, mine, days=1)
    asked = [request.subject for request in backend.asked if request.stage == "item_personas"]
    assert sorted(asked) == ["capo", "strap", "strings", "tuner"]
    # Another model has no answer yet, to the reviews and the summary under the personas either.
    backend = answer(echo)
    backend.model = "other@1"
    answer(sometimes)
    night(warehouse, configured(), days=2)
    backend = answer(echo)
    backend.model = "other@1"
    printed(warehouse, "quarantine", "replay", "--config", mine, "--stage", "item_personas", "--yes")
    assert sorted(r.subject for r in backend.asked) == ["ben-picks", "dan-picks", "picks", "picks"]


def test_a_refused_review_that_left_the_evidence_is_gone(
    warehouse: Warehouse, answer: Answer, configured: Callable[..., str]
) -> None:
    answer(sometimes)
    night(warehouse, configured())
    rows = shop()
    put(warehouse, "reviews", [row for row in rows["reviews"] if row["review_id"] != "ana-strap"])
    lines = printed(warehouse, "quarantine", "replay", "--config", configured(), "--subject", "ana-strap")
    assert "review_aspects invalid_json 0 0 0 1" in lines


def test_an_extractor_that_asks_nobody_and_filters_that_match_nothing(
    warehouse: Warehouse, answer: Answer, configured: Callable[..., str]
) -> None:
    answer(sometimes)
    night(warehouse, configured())
    error = fault(warehouse, "quarantine", "replay", "--config", "local")
    assert isinstance(error, ConfigError)
    assert "the extractor of local is embedded, which asks no LLM" in str(error)
    error = fault(warehouse, "quarantine", "replay", "--config", configured(), "--reason", "unsafe")
    assert "nothing of that kind is quarantined" in str(error)
    error = fault(warehouse, "quarantine", "replay", "--config", configured(), "--stage", "reviews")
    assert str(error).startswith("--stage reviews: expected one of review_aspects,")
    assert "asks no LLM" in str(fault(warehouse, "personas", "diff", "--config", "local"))


def test_diff_of_two_prompts(
    warehouse: Warehouse, answer: Answer, configured: Callable[..., str], stricter: str
) -> None:
    answer(echo)
    mine, strict = configured(), configured("strict.yaml", prompts=stricter)
    night(warehouse, mine)
    before = others(warehouse)

    def says_less(request: Request) -> str:
        if request.stage != "item_personas" or "Be strict." not in request.system:
            return echo(request)
        first, *others = json.loads(echo(request))["personas"]
        return json.dumps({"personas": [first, *(persona | LIES for persona in others)]})

    backend = answer(says_less)
    arguments = ("personas", "diff", "--config", mine, "--against", strict)
    lines = printed(warehouse, *arguments, "--yes")
    assert [request.stage for request in backend.asked] == ["item_personas"] * 5
    plans = [line for line in lines if line.startswith("all ")]
    assert [line.split()[:5] for line in plans] == [["all", "0", "20", "19", "0"], ["all", "0", "20", "19", "5"]]
    figures = {" ".join(line.split()[:-2]): line.split()[-2:] for line in lines}
    assert figures["requests asked"] == ["0", "5"]
    assert figures["replies on record"] == ["19", "14"]
    assert figures["outcome ok"] == ["19", "19"]
    assert figures["valid replies"] == ["100.0%", "100.0%"]
    assert figures["personas answered"] == ["10", "10"]
    assert figures["grounded"] == ["100.0%", "50.0%"]
    assert figures["personas kept"] == ["10", "5"]
    assert figures["items with personas"] == ["5", "5"]
    assert figures["personas per such item"] == ["2.0", "1.0"]
    # The sample is the catalogue.
    assert figures["tokens of the sample"] == figures["tokens of the catalogue"]
    assert "5 of 10 personas (50%) of" in " ".join(lines)
    assert others(warehouse) == before
    assert sum("1 quote, 1 reviewer" in line for line in lines) == 6  # three items, a pair and a single each
    # The other way round the counterparts are the same, and nobody is asked.
    lines = printed(warehouse, "personas", "diff", "--config", strict, "--against", mine)
    assert "5 of 5 personas (100%) of" in " ".join(lines)
    assert len(backend.asked) == 5


def test_what_two_configurations_share_is_asked_once_and_not_without_consent(
    warehouse: Warehouse, answer: Answer, configured: Callable[..., str], stricter: str
) -> None:
    backend = answer(echo)
    arguments = ("personas", "diff", "--config", configured(), "--against", configured("strict.yaml", prompts=stricter))
    declined = command(warehouse, *arguments, answers="n\n")
    assert declined.exit_code == 1
    assert "Ask 24 new requests?" in declined.output  # ten reviews, four summaries, twice five items
    assert backend.engines == []
    printed(warehouse, *arguments, "--yes")
    assert len(backend.asked) == 24
    assert len(backend.engines) == 2  # one after the other


def test_diff_with_the_served_release_and_a_sample(
    warehouse: Warehouse, answer: Answer, configured: Callable[..., str], stricter: str
) -> None:
    answer(echo)
    night(warehouse, configured(tokens_per_second=10, cost_per_hour=36))
    backend = answer(echo)
    strict = configured(prompts=stricter, tokens_per_second=10, cost_per_hour=36)
    asked = []
    for sample in ("2", "3"):
        printed(warehouse, "personas", "diff", "--config", strict, "--sample", sample, "--yes")
        asked.append({request.subject for request in backend.asked})
    assert [len(subjects) for subjects in asked] == [2, 3]  # the larger sample holds the smaller
    lines = printed(warehouse, "personas", "diff", "--config", strict, "--item", "tuner", "--yes")
    figures = {" ".join(line.split()[:-2]): line.split()[-2:] for line in lines}
    assert figures["requests asked"][1] == "-"
    assert figures["personas kept"] == ["2", "2"]
    tokens = float(figures["tokens of the catalogue"][0].replace(",", ""))
    assert float(figures["minutes of one engine"][0]) == pytest.approx(tokens / 10 / 60, abs=0.06)
    assert float(figures["cost"][0]) == pytest.approx(tokens / 10 / 3600 * 36, abs=0.006)
    assert "2 of 2 personas (100%)" in " ".join(lines)
    error = fault(warehouse, "personas", "diff", "--config", strict, "--item", "nothing")
    assert str(error).startswith("--item nothing: there is no such item with evidence reviews")
