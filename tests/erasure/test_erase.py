"""A shop of four, and Ben erased from it: every version of every table, what lies beside them, and what readers get."""

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from decoded import found_in
from deltalake import DeltaTable
from helpers import AS_OF, Row, arrow, put, put_all, shop
from publishing import run

from persona_pipeline.config import load_config
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import BusyError, ConfigError, PipelineError
from persona_pipeline.embeddings.cache import text_hash
from persona_pipeline.erasure import erase as erasing
from persona_pipeline.erasure.collect import collect
from persona_pipeline.erasure.erase import complete, erase, foresee, let_back
from persona_pipeline.erasure.places import tables
from persona_pipeline.publish.releases import published, read_released
from persona_pipeline.runs.attempt import attempt
from persona_pipeline.runs.context import context_of
from persona_pipeline.runs.log import add_event, write_run
from persona_pipeline.runs.opening import Input, close_run, open_run, require_idle
from persona_pipeline.sources.input_state import USER_KEY, pseudonyms
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse._locks import lock
from persona_pipeline.warehouse.erasures import digester, erased_digests, note_pending, pending
from persona_pipeline.warehouse.history import History

BENS = [
    "ben",
    "ben-strap",
    "ben-picks",
    "ben-capo",
    "for my daughter",
    "who just started lessons",
    "crack within a week",
]
TONIGHT = date(2024, 7, 1)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "PAUSE", 0.0)


def call(key: str, subject: str, reviews: list[str], prompt: str) -> Row:
    return {
        "request_key": key, "stage": "item_personas", "subject_id": subject, "model": "m@1", "max_tokens": 9, "temperature": 0.0,
        "seed": 1, "prompt_tokens": 1, "completion_tokens": 1, "finish": "stop", "outcome": "ok", "output": "{}", "system": "s",
        "prompt": prompt, "review_ids": reviews, "asked_as_of": AS_OF,
    }  # fmt: skip


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A copy of the template of the test's own."""
    return Path(shutil.copytree(template, tmp_path / "warehouse"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nights published, the second without Ben's last review; and everything beside the tables that may know him."""
    root = tmp_path_factory.mktemp("template") / "warehouse"
    warehouse = Warehouse(root)
    rows = shop()
    rows["rejected_reviews"] += [
        {"source_file": "june.jsonl", "source_line": 12, "part": 0, "input": "reviews", "reason": "not_json", "field": None,
         "detail": '{"user_id": "ben", "item_id": "tuner", "text": "Nine of ten"'}
    ]  # fmt: skip
    rows["llm_calls"] = [
        call("k1", "strap", ["ana-strap", "ben-strap"], "Bought it for my daughter, who just started lessons."),
        call("k2", "tuner", ["ana-tuner"], "Reads fast even on a loud stage."),
        call("k3", "old", [], "They say: bought it for my daughter, who just started lessons. Is it so?"),
    ]
    put_all(warehouse, rows)
    run(warehouse)
    rows["reviews"] = [row for row in rows["reviews"] if row["review_id"] != "ben-picks"]
    rows["user_item_topk"][0]["score"] = 0.9
    put_all(warehouse, rows)
    run(warehouse, TONIGHT)
    (root / "_logs").mkdir()
    (root / "_logs" / "1.log").write_text('started\nkey repeated, e.g. {"user_id": "ben", "item_id": "strap"}\nended\n')
    (root / "_reports").mkdir()
    (root / "_reports" / "2020-01-01.html").write_text(
        "<p>He bought it for my daughter, &quot;who just started lessons&quot;"
    )
    (root / "_llm_calls").mkdir()
    staged = [call("k4", "ben-capo", ["ben-capo"], "One hand"), call("k5", "ana-tuner", ["ana-tuner"], "Reads fast")]
    pq.write_table(arrow("llm_calls", staged), root / "_llm_calls" / "0.parquet")
    (root / "_evaluations").mkdir()
    pq.write_table(pa.table({"user_id": ["ana", "ben"], "value": [0.5, 1.0]}), root / "_evaluations" / "e.parquet")
    (root / "copy.jsonl").write_text('{"user_id": "ana"}\n{"user_id": "ben"}\n')
    return root


def test_nothing_of_him_is_left(root: Path) -> None:
    assert set(found_in(root, BENS)) == set(BENS)
    done = erase(root, ["ben"], "ana")
    assert found_in(root, BENS) == {}
    assert done.people == 1
    assert done.loose.done == {"lost lines": 1, "lost rows": 1, "redacted": 1, "deleted": 1}
    assert not (root / "_erasing").exists()
    assert (root / "_logs" / "1.log").read_text().count("\n") == 3
    kept = pq.read_table(root / "_llm_calls" / "0.parquet")["request_key"].to_pylist()
    assert kept == ["k5"]


def test_all_others_stay_as_they_were_in_every_version(root: Path) -> None:
    warehouse = Warehouse(root)
    before = {table: list(range(version + 1)) for table, version in warehouse.versions().items()}
    held = {(table, v): warehouse.read(table, version=v).to_pylist() for table, vs in before.items() for v in vs}
    erase(root, ["ben"], "ana")
    after = Warehouse(root).versions()
    assert {table: version for table, version in after.items() if table != "erasures"} == {
        table: max(versions) for table, versions in before.items()
    }
    for (table, version), rows in held.items():
        now = warehouse.read(table, version=version).to_pylist()
        others = [
            row
            for row in rows
            if not any(word in str(row) for word in ("ben", "strap-2", "capo-4", "daughter", "not_json"))
        ]
        kept = [row for row in now if not any(word in str(row) for word in ("strap-2", "capo-4", "[erased]"))]
        assert [row for row in kept if row in rows] == others, (table, version)
        assert len(now) <= len(rows)
    assert "ben-picks" in [row["review_id"] for row in held["reviews", 0]]
    assert len(published(warehouse)) == 2


def test_personas_only_he_supports_retire_without_text(root: Path) -> None:
    erase(root, ["ben"], "ana")
    for release in published(Warehouse(root)):
        rows = {row["persona_id"]: row for row in read_released(Warehouse(root), "item_personas", release).to_pylist()}
        his = rows["strap-2"]
        assert (his["status"], his["position"], his["support"], his["evidence"]) == ("retired", 0, 0, [])
        assert his["name"] == his["description"] == his["preference_rationale"] == ""
        assert his["first_as_of"] == AS_OF
        assert his["retired_as_of"] is not None
        assert rows["strap-1"]["name"] == "Gigging players"
        assert rows["strap-1"]["extraction_key"] == "k"  # made from ana's review alone
        vectors = read_released(Warehouse(root), "persona_vectors", release)["persona_id"].to_pylist()
        assert "strap-2" not in vectors
        assert "strap-1" in vectors


def test_a_persona_that_others_support_too_loses_his_part(root: Path) -> None:
    rows = shop()["item_personas"]
    one = rows[0]  # ana's of the strap
    one["evidence"] += rows[1]["evidence"]
    one |= {"support": 3, "mean_rating": 5.0, "extracted_from": ["ana-strap", "ben-strap"]}
    put(Warehouse(root), "item_personas", rows)
    erase(root, ["ben"], "ana")
    (after,) = Warehouse(root).read("item_personas", where="persona_id = 'strap-1'").to_pylist()
    assert [span["ref"] for span in after["evidence"]] == ["ana-strap"]
    assert (after["support"], after["mean_rating"], after["status"]) == (2, 5.0, "current")
    assert after["name"] == one["name"]
    # The next night makes the item's personas again.
    assert (after["extraction_key"], after["extracted_from"]) == ("", [])


def test_lists_of_others_tell_their_reason_without_him(root: Path) -> None:
    before = {(r["user_id"], r["rank"]): r for r in Warehouse(root).read("user_item_topk").to_pylist()}
    erase(root, ["ben"], "ana")
    after = {(r["user_id"], r["rank"]): r for r in Warehouse(root).read("user_item_topk").to_pylist()}
    assert after.keys() == {key for key in before if key[0] != "ben"}
    theirs = [key for key in after if before[key]["evidence"][0]["ref"].startswith("ben")]
    assert theirs
    for key, row in after.items():
        if key in theirs:
            assert row["evidence"] == []
            assert row["persona_name"] == ""
            assert row["explanation"] == "It is close to what you have chosen before."
            assert row["score"] == before[key]["score"]
        else:
            assert row == before[key]


def test_counts_of_an_item_are_of_those_who_stay(root: Path) -> None:
    rows = shop()["item_reviews"]
    for row in rows:
        row["mean_rating"] = 3.5 if row["item_id"] == "picks" else row["mean_rating"]
    put(Warehouse(root), "item_reviews", rows)
    erase(root, ["ben"], "ana")
    (picks,) = Warehouse(root).read("item_reviews", where="item_id = 'picks'").to_pylist()
    assert (picks["review_count"], picks["mean_rating"]) == (1, 5.0)  # (3.5 * 2 - 2) / 1
    assert [review["user_id"] for review in picks["evidence"]] == ["dan"]


def test_a_cache_loses_what_shows_him_and_nothing_else(root: Path) -> None:
    erase(root, ["ben"], "ana")
    assert Warehouse(root).read("llm_calls")["request_key"].to_pylist() == ["k2"]


def test_a_foresight_counts_and_changes_nothing(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    told = foresee(root, ["ben", "zoe"])
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert (told.people, told.unknown, told.personas) == (1, ["zoe"], 2)
    assert told.rows["reviews"] == {0: (3, 0), 1: (2, 0)}
    assert told.rows["user_histories"][1] == (1, 0)
    assert told.rows["item_personas"][1] == (0, 2)
    done = erase(root, ["ben", "zoe"], "ana")
    assert done.rows == told.rows
    assert digester(Warehouse(root))("zoe") not in erased_digests(Warehouse(root))


def test_somebody_unknown_is_nobody_to_erase(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "_claims" not in path.parts}
    with pytest.raises(PipelineError, match=r"none of the 1 users is known in .*: nothing was done"):
        erase(root, ["zoe"], "ana")
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "_claims" not in path.parts}
    assert after == before


def test_while_a_run_is_open_nobody_is_erased(root: Path) -> None:
    columns = dict.fromkeys(load_contract("runs").names)
    told = {
        "run_id": "2024-07-02.1",
        "as_of": date(2024, 7, 2),
        "opened_at": _noon(),
        "made_from": "",
        "input_files": [],
    }
    told |= {"config": "{}", "config_digest": "", "code": "", "overrides": [], "table_versions": []}
    write_run(Warehouse(root), {**columns, **told})
    with pytest.raises(BusyError, match=r"run 2024-07-02\.1 is open"):
        erase(root, ["ben"], "ana")
    assert found_in(root, ["ben-capo"])


def test_logs_of_runs_are_redacted_and_kept(root: Path) -> None:
    add_event(Warehouse(root), {"run_id": "r", "task": "t", "part": "", "attempt": 1, "event": "ended", "at": _noon(),
                                "outcome": "failed", "detail": "repeated key, e.g. {'user_id': 'ben'}"})  # fmt: skip
    erase(root, ["ben"], "ana")
    (row,) = Warehouse(root).read("task_runs").to_pylist()
    assert row["detail"] == "repeated key, e.g. {'[erased]'}"


def test_a_second_erasure_and_one_who_was_erased_before(root: Path) -> None:
    erase(root, ["ben"], "ana")
    versions = Warehouse(root).versions()
    erase(root, ["dan"], "ana")
    assert found_in(root, [*BENS, "dan", "dan-picks", "strumming at home"]) == {}
    assert {t: v for t, v in Warehouse(root).versions().items() if t != "erasures"} == {
        t: v for t, v in versions.items() if t != "erasures"
    }
    with pytest.raises(PipelineError, match="1 of them were erased before"):
        erase(root, ["dan"], "ana")
    assert len(erased_digests(Warehouse(root))) == 2


def unchanged(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "_claims" not in path.parts}


@pytest.mark.parametrize("held", ["task-user_item_topk", "persona_choices", "_candidates"])
def test_while_somebody_writes_nothing_is_changed(root: Path, held: str) -> None:
    """A task of a run that was closed and begun again, and writers of tables, staged ones too."""
    other, name = (root / "_candidates", "default_topk") if held == "_candidates" else (root, held)
    put(Warehouse(root), "persona_choices", [])
    before = unchanged(root)
    with lock(other, name, {"job": "another"}), pytest.raises(BusyError, match="another"):
        erase(root, ["ben"], "ana")
    assert unchanged(root) == before
    assert erase(root, ["ben"], "ana").people == 1


@pytest.mark.parametrize("fault", ["file", "log"])
def test_what_cannot_be_rewritten_is_said_before_anything_changes(root: Path, fault: str) -> None:
    folder = root / "encoders"  # of which nothing would change
    if fault == "file":
        path, *_ = folder.glob("*.parquet")
        path.write_bytes(path.read_bytes()[:-9])
    else:
        put(Warehouse(root), "encoders", shop()["encoders"])
        DeltaTable(folder).create_checkpoint()
        (folder / "_delta_log" / f"{0:020}.json").unlink()
    before, told = unchanged(root), "is damaged" if fault == "file" else "does not begin with version 0"
    with pytest.raises(PipelineError, match=told):
        foresee(root, ["ben"])
    with pytest.raises(PipelineError, match=told):
        erase(root, ["ben"], "ana")
    assert unchanged(root) == before


def test_one_that_was_killed_before_it_changed_anything_is_forgotten(root: Path) -> None:
    (root / "_erasing").mkdir()
    note_pending(root / "_erasing", 1, "ana")
    with pytest.raises(BusyError, match="has not ended"):
        erase(root, ["ben"], "ana")
    with pytest.raises(PipelineError, match="before it had changed anything"):
        complete(root)
    assert erase(root, ["ben"], "ana").people == 1


def test_no_task_begins_while_people_are_erased(tmp_path: Path) -> None:
    run_id = open_run(tmp_path, AS_OF, load_config("local"), Input())
    context = context_of(tmp_path, run_id, "report")
    (tmp_path / "_erasing").mkdir()
    note_pending(tmp_path / "_erasing", 1, "ana")  # after the task found none
    with pytest.raises(BusyError, match="has not ended"):
        attempt(context, "report", "", dict)


@pytest.mark.parametrize("moment", ["write", "point", "drop", "clean_files", "record"])
def test_an_erasure_that_was_broken_off_is_completed(root: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    whole = Path(f"{root}-whole")
    shutil.copytree(root, whole)
    erase(whole, ["ben"], "ana")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if hasattr(erasing, moment):
            patched.setattr(erasing, moment, killed)
        else:
            patched.setattr(History, moment, _second_time(getattr(History, moment)))
        with pytest.raises(KeyboardInterrupt):
            erase(root, ["ben"], "ana")
    assert pending(root) is not None
    with pytest.raises(BusyError, match="persona-pipeline erase --go-on"):
        erase(root, ["dan"], "ana")
    complete(root)
    assert pending(root) is None
    require_idle(Warehouse(root))
    assert found_in(root, BENS) == {}
    for table, version in Warehouse(whole).versions().items():
        for v in range(version + 1):
            if table != "erasures":
                assert Warehouse(root).read(table, version=v).equals(Warehouse(whole).read(table, version=v)), (
                    table,
                    v,
                )


def _second_time(method: object) -> object:
    """The method, until it is called again: then the process is killed."""
    calls: list[int] = []

    def once(*arguments: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return method(*arguments, **named)  # type: ignore[operator]

    return once


def _noon() -> datetime:
    return datetime(2024, 7, 2, 12, tzinfo=UTC)


def test_the_record_names_nobody(root: Path) -> None:
    erase(root, ["ben"], "ana")
    (row,) = Warehouse(root).read("erasures").to_pylist()
    assert row["user_digest"] == digester(Warehouse(root))("ben")
    assert json.loads(json.dumps(row, default=str)).keys() == {"user_digest", "erased_at", "by", "let_back_at"}


def test_who_goes_by_a_pseudonym_is_found_by_either_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER_KEY, "correct horse battery staple")
    config = load_config("local", {"reviews": {"pseudonymous_users": True}})
    close_run(Warehouse(root), open_run(root, TONIGHT, config, Input()), "ended", None)
    name = pseudonyms(config.reviews)
    assert name is not None
    rows = [{**row, "user_id": name(row["user_id"])} for row in shop()["reviews"]]
    put(Warehouse(root), "reviews", rows)
    (root / "copy.jsonl").write_text('{"user_id": "ana"}\n{"user_id": "dan"}\n')
    done = erase(root, ["dan", "zoe"], "ana")
    assert (done.people, done.unknown) == (1, ["zoe"])
    assert found_in(root, ["dan", name("dan"), "strumming at home"]) == {}
    assert {*map(digester(Warehouse(root)), ("dan", name("dan")))} == erased_digests(Warehouse(root))
    assert erase(root, [name("cleo")], "ana").people == 1
    assert let_back(root, ["dan", "zoe"], "ana") == 1
    monkeypatch.delenv(USER_KEY)
    with pytest.raises(ConfigError, match=USER_KEY):
        erase(root, ["dan"], "ana")
    assert pending(root) is None


def test_what_others_wrote_is_theirs_though_no_night_counts_it_yet(root: Path) -> None:
    rows = shop()["parsed_reviews"]
    said = "We bought it for my daughter, who just started lessons too."
    rows.append({**rows[0], "review_id": "eve-strap", "user_id": "eve", "source_line": 99, "text": said})
    put(Warehouse(root), "parsed_reviews", rows)
    add_event(Warehouse(root), {"run_id": "r", "task": "t", "part": "", "attempt": 1, "event": "ended", "at": _noon(),
                                "outcome": "failed", "detail": "bought it for my daughter, who just started"})  # fmt: skip
    erase(root, ["ben"], "ana")
    (row,) = Warehouse(root).read("task_runs").to_pylist()
    assert row["detail"] == "bought it for my daughter, who just started"


def test_a_refused_value_makes_nobody_known(root: Path) -> None:
    refused = {**shop()["rejected_reviews"][0], "reason": "bad_rating", "field": "rating", "detail": "7"}
    put(Warehouse(root), "rejected_reviews", [refused])
    with pytest.raises(PipelineError, match="none of the 1 users is known"):
        erase(root, ["7"], "ana")


def test_vectors_of_words_that_a_persona_loses_go(root: Path) -> None:
    rows = shop()["item_personas"]
    rows[0]["evidence"] += rows[1]["evidence"]
    rows[0] |= {"support": 2, "description": "Bought it for my daughter, who just started lessons"}
    put(Warehouse(root), "item_personas", rows)
    text = rows[0]["description"]
    row = {**shop()["text_embeddings"][0], "text_hash": text_hash(text)}
    put(Warehouse(root), "text_embeddings", [row])
    erase(root, ["ben"], "ana")
    assert Warehouse(root).read("text_embeddings").num_rows == 0


def test_of_a_review_that_was_edited_the_newest_counts(root: Path) -> None:
    (row,) = (one for one in shop()["reviews"] if one["review_id"] == "ben-picks")
    for day in (20, 4, 12, 6):
        put(Warehouse(root), "reviews", [{**row, "rating": day / 5, "reviewed_at": datetime(2024, 6, day, tzinfo=UTC)}])
    said = collect(tables(root), [["ben"]]).reviews["ben-picks"]
    assert said is not None
    assert said.rating == 4.0


def test_filters_find_what_is_null_in_a_column_that_had_only_nulls(root: Path) -> None:
    """Nothing was refused, and now there are records whose reason is `erased`: the others still have none."""
    erase(root, ["ben"], "ana")
    warehouse = Warehouse(root)
    reasons = warehouse.read("parsed_reviews")["reason"]
    assert 0 < reasons.null_count < len(reasons)
    (found,) = warehouse.query(
        "SELECT count(*) AS n FROM parsed_reviews WHERE reason IS NULL", ["parsed_reviews"]
    ).to_pylist()
    assert found["n"] == reasons.null_count
