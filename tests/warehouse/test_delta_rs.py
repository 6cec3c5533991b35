"""The delta-rs side: a write states the whole content, commits only what differs, and any engine opens the result."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from embedded import vectors_of_keys
from helpers import AS_OF, Row, arrow, put, reviews, shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import ContractError, PipelineError
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.doctor import mend


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path, {"as_of": AS_OF.isoformat(), "job": "item_summaries"})


def summary(item: str, text: str = "A capo for guitar players.") -> Row:
    return {
        "item_id": item,
        "summary": text,
        "summary_source": "metadata",
        "extraction_key": "k",
        "extractor_version": "v1",
    }


def replace(warehouse: Warehouse, *rows: Row) -> tuple[int, int, int]:
    result = warehouse.replace("item_summaries", arrow("item_summaries", rows))
    return result.inserted, result.updated, result.deleted


def stored(warehouse: Warehouse) -> list[Row]:
    return list(warehouse.read("item_summaries").to_pylist())


def test_replace_counts_inserts_updates_and_deletes(warehouse: Warehouse) -> None:
    assert replace(warehouse, summary("capo"), summary("picks"), summary("strap")) == (3, 0, 0)
    after = [summary("capo"), summary("picks", "Soft picks."), summary("tuner")]
    assert replace(warehouse, *after) == (1, 1, 1)
    assert stored(warehouse) == after


def test_identical_replace_commits_nothing(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"), summary("picks"))
    before = warehouse.version("item_summaries")
    files = sorted(Path(warehouse.path("item_summaries")).rglob("*"))
    result = warehouse.replace("item_summaries", arrow("item_summaries", [summary("picks"), summary("capo")]))
    assert not result.changed
    assert result.version == before == warehouse.version("item_summaries")
    assert sorted(Path(warehouse.path("item_summaries")).rglob("*")) == files


def test_one_commit_per_write(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"), summary("picks"), summary("strap"))
    before = warehouse.version("item_summaries") or 0
    replace(warehouse, summary("capo", "Other."), summary("tuner"))
    assert warehouse.version("item_summaries") == before + 1


def test_replace_by_nothing_empties(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"))
    assert replace(warehouse) == (0, 0, 1)
    assert stored(warehouse) == []


def test_upsert_keeps_others(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"), summary("picks"))
    result = warehouse.upsert("item_summaries", arrow("item_summaries", [summary("picks", "Soft."), summary("tuner")]))
    assert (result.inserted, result.updated, result.deleted) == (1, 1, 0)
    assert stored(warehouse) == [summary("capo"), summary("picks", "Soft."), summary("tuner")]
    assert not warehouse.upsert("item_summaries", arrow("item_summaries", [summary("tuner")])).changed


def test_append_adds(warehouse: Warehouse) -> None:
    warehouse.append("item_summaries", arrow("item_summaries", [summary("capo")]))
    warehouse.append("item_summaries", arrow("item_summaries", [summary("picks")]))
    assert [row["item_id"] for row in stored(warehouse)] == ["capo", "picks"]


def _personas() -> list[Row]:
    return shop()["item_personas"]


def _write_personas(warehouse: Warehouse, rows: list[Row]) -> tuple[int, int, int]:
    result = warehouse.replace("item_personas", arrow("item_personas", rows))
    return result.inserted, result.updated, result.deleted


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": []},
        {"mean_rating": None},
        {"status": "retired", "position": 0, "retired_as_of": date(2024, 6, 30)},
        {"preference_rationale": "It suits “loud” players — and their neighbours' ears."},
    ],
)
def test_lists_and_nulls_compare_by_content(warehouse: Warehouse, changes: Row) -> None:
    assert _write_personas(warehouse, _personas()) == (6, 0, 0)
    assert _write_personas(warehouse, _personas()) == (0, 0, 0)
    changed = _personas()
    changed[2].update(changes)
    assert _write_personas(warehouse, changed) == (0, 1, 0)
    assert _write_personas(warehouse, changed) == (0, 0, 0)
    assert warehouse.read("item_personas", where="persona_id = 'tuner-3'").to_pylist() == [changed[2]]
    assert _write_personas(warehouse, _personas()) == (0, 1, 0)


@pytest.mark.parametrize("field", ["quote", "start", "ref"])
def test_a_change_deep_in_a_struct_is_seen(warehouse: Warehouse, field: str) -> None:
    _write_personas(warehouse, _personas())
    changed = _personas()
    span = dict(changed[0]["evidence"][0])
    span[field] = None
    changed[0]["evidence"] = [span]
    assert _write_personas(warehouse, changed) == (0, 1, 0)
    assert _write_personas(warehouse, changed) == (0, 0, 0)


def test_read_at_a_version(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"))
    old = warehouse.version("item_summaries")
    replace(warehouse, summary("capo", "Better."), summary("picks"))
    assert warehouse.read("item_summaries", version=old).to_pylist() == [summary("capo")]
    assert warehouse.read("item_summaries").num_rows == 2


def test_read_of_a_version_that_never_was(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"))
    with pytest.raises(PipelineError, match=r"table item_summaries: version 99 cannot be opened at .*item_summaries"):
        warehouse.read("item_summaries", version=99)


def test_read_at_a_version_of_a_table_never_written(warehouse: Warehouse) -> None:
    with pytest.raises(PipelineError, match="version 0 asked for, but there is no table"):
        warehouse.read("item_summaries", version=0)


def test_read_selects_columns_and_rows_in_key_order(warehouse: Warehouse) -> None:
    replace(warehouse, summary("tuner"), summary("capo"), summary("picks", "Soft."))
    found = warehouse.read("item_summaries", ["item_id"], where="summary <> 'Soft.'")
    assert found.to_pylist() == [{"item_id": "capo"}, {"item_id": "tuner"}]


def test_a_table_never_written_is_empty(warehouse: Warehouse) -> None:
    assert warehouse.version("item_summaries") is None
    assert not warehouse.exists("item_summaries")
    empty = warehouse.read("item_summaries", ["summary", "item_id"])
    assert (empty.num_rows, empty.column_names) == (0, ["summary", "item_id"])


def test_query_joins_tables_with_given_rows_and_parameters(warehouse: Warehouse) -> None:
    put(warehouse, "reviews", reviews())
    liked = pa.table({"user_id": ["ana", "dan"], "since": [5, 1]})
    found = warehouse.query(
        "SELECT review_id FROM reviews JOIN liked USING (user_id) ANTI JOIN item_summaries USING (item_id) "
        "WHERE rating >= $liked AND day(reviewed_at) >= since AND text LIKE $text ORDER BY 1",
        ["reviews", "item_summaries"],  # item_summaries was never written
        {"liked": 4.0, "text": "%a%"},
        liked=liked,
    )
    assert found["review_id"].to_pylist() == ["ana-strings", "ana-tuner", "dan-picks", "dan-strings"]


def test_query_takes_datasets(warehouse: Warehouse) -> None:
    put(warehouse, "reviews", reviews())
    found = warehouse.query("SELECT count(*) AS n FROM mine", [], mine=warehouse.dataset("reviews"))
    assert found.to_pylist() == [{"n": 10}]
    empty = warehouse.query("SELECT count(*) AS n FROM mine", [], mine=warehouse.dataset("item_summaries"))
    assert empty.to_pylist() == [{"n": 0}]


def test_values_are_no_sql(warehouse: Warehouse) -> None:
    put(warehouse, "reviews", reviews())
    hostile = "x'; DROP VIEW reviews; --"
    found = warehouse.query("SELECT $it AS said, count(*) AS n FROM reviews", ["reviews"], {"it": hostile})
    assert found.to_pylist() == [{"said": hostile, "n": 10}]


@pytest.mark.parametrize("write", ["replace", "upsert", "append"])
def test_spark_tables_are_not_written_from_here(warehouse: Warehouse, write: str) -> None:
    with pytest.raises(ContractError, match=r"table reviews: schemas/reviews\.yaml says it is written by spark"):
        getattr(warehouse, write)("reviews", arrow("reviews", reviews()))
    assert not warehouse.exists("reviews")


def test_rows_that_break_the_contract_are_not_written(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"))
    with pytest.raises(ContractError, match="1 repeated values of the key"):
        replace(warehouse, summary("picks"), summary("picks"))
    assert stored(warehouse) == [summary("capo")]


def test_the_contract_lands_in_delta(warehouse: Warehouse) -> None:
    _write_personas(warehouse, _personas())
    table = DeltaTable(warehouse.path("item_personas"))
    contract = load_contract("item_personas")
    assert table.metadata().description == contract.description
    fields = json.loads(table.schema().to_json())["fields"]
    assert {f["name"]: f["metadata"]["comment"] for f in fields} == {c.name: c.description for c in contract.columns}
    assert {f["name"]: f["nullable"] for f in fields} == {c.name: c.nullable for c in contract.columns}
    assert (
        table.protocol().min_reader_version == 1
    )  # neither deletion vectors nor column mapping: every engine opens it


def test_a_better_description_leaves_older_tables_writable(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(warehouse, summary("capo"))
    before = load_contract("item_summaries")
    column = before.columns[1].model_copy(update={"description": "Said better"})
    better = before.model_copy(update={"columns": (before.columns[0], column, *before.columns[2:])})
    monkeypatch.setattr("persona_pipeline.warehouse.delta_rs.load_contract", lambda _: better)
    warehouse.append("item_summaries", arrow("item_summaries", [summary("strap")]))
    assert replace(warehouse, summary("capo", "Another."), summary("tuner")) == (1, 1, 1)


def test_every_commit_says_which_night_and_job_made_it(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"), summary("picks"))
    replace(warehouse, summary("capo", "Better."))
    commits = DeltaTable(warehouse.path("item_summaries")).history()
    assert len(commits) == 3  # create, append, merge
    assert [json.loads(commit["userMetadata"]) for commit in commits] == [warehouse.commit] * 3


def test_duckdb_opens_what_delta_rs_wrote(warehouse: Warehouse) -> None:
    _write_personas(warehouse, _personas())
    _write_personas(warehouse, _personas()[1:])
    dataset = DeltaTable(warehouse.path("item_personas")).to_pyarrow_dataset()
    with duckdb.connect() as connection:
        connection.register("personas", dataset)
        found = connection.sql("SELECT persona_id, evidence[1].quote FROM personas ORDER BY 1").fetchall()
    assert found == sorted((row["persona_id"], row["evidence"][0]["quote"]) for row in _personas()[1:])


def test_any_reader_can_filter_strings_after_an_update(warehouse: Warehouse) -> None:
    """Files written by delta-rs' own merge hold string views, on which Arrow cannot filter."""
    _write_personas(warehouse, _personas())
    changed = _personas()
    changed[2].update(status="retired", position=0, retired_as_of=AS_OF)
    _write_personas(warehouse, changed)
    warehouse.upsert("item_personas", arrow("item_personas", [{**changed[0], "support": 3}]))
    dataset = DeltaTable(warehouse.path("item_personas")).to_pyarrow_dataset()
    assert dataset.to_table(filter=ds.field("status") == "retired")["persona_id"].to_pylist() == ["tuner-3"]
    assert dataset.to_table(filter=ds.field("support") == 3)["persona_id"].to_pylist() == ["strap-1"]
    found = warehouse.query("SELECT count(*) AS n FROM item_personas WHERE name >= 'H'", ["item_personas"])
    assert found.to_pylist() == [{"n": 4}]


def test_a_table_with_an_order_is_stored_in_it(warehouse: Warehouse) -> None:
    rows = shop()["user_vectors"]
    assert load_contract("user_vectors").sort_by == ("user_id",)
    warehouse.replace("user_vectors", arrow("user_vectors", rows[::-1]))
    (file,) = DeltaTable(warehouse.path("user_vectors")).file_uris()
    assert pq.read_table(file)["user_id"].to_pylist() == sorted(row["user_id"] for row in rows)


def test_partitions_that_got_a_file(warehouse: Warehouse) -> None:
    rows = shop()["user_item_topk"]
    put(warehouse, "user_item_topk", [{**row, "user_bucket": place % 3} for place, row in enumerate(rows)])
    assert warehouse.partitions("user_item_topk") == [{"user_bucket": place} for place in range(3)]
    more = arrow("user_item_topk", [{**rows[0], "user_bucket": 1}])
    write_deltalake(warehouse.path("user_item_topk"), more, mode="append")
    assert warehouse.partitions("user_item_topk", since=0) == [{"user_bucket": 1}]
    assert warehouse.partitions("user_item_topk", since=1) == []


def test_partitions_of_a_warehouse_given_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for part in (0, 1):
        write_deltalake("warehouse/t", pa.table({"n": [part], "part": [part]}), mode="append", partition_by=["part"])
    assert Warehouse("warehouse").partitions("t", since=0) == [{"part": 1}]
    assert all(path.is_file() for path in Warehouse("warehouse").files("t"))


@pytest.mark.parametrize("folder", ["warehouse", "our warehouse", "wärehouse", "50% full", "#1", "a+b?"])
def test_the_folder_of_a_warehouse_may_have_any_name(tmp_path: Path, folder: str) -> None:
    """What delta-rs says of files is percent-encoded, in part."""
    warehouse, path = Warehouse(tmp_path / folder), tmp_path / folder / "t"
    places = ["a b", "ü", "50%", "c#d", "a=b/c"]
    write_deltalake(str(path), pa.table({"n": range(5), "place": places}), partition_by=["place"])
    first = set(path.rglob("*.parquet"))
    assert warehouse.files("t") == first
    assert len(first) == 5
    assert warehouse.partitions("t") == [{"place": place} for place in sorted(places)]
    write_deltalake(str(path), pa.table({"n": [5], "place": ["50%"]}), mode="append")
    assert warehouse.partitions("t", since=0) == [{"place": "50%"}]
    write_deltalake(str(path), pa.table({"n": [6], "place": ["ü"]}), mode="overwrite")
    assert not first & warehouse.files("t")
    assert warehouse.files("t", 0) == first
    assert warehouse.unneeded_files("t", [0, 1], 0) == []
    assert set(warehouse.unneeded_files("t", [0], 0)) == warehouse.files("t", 1) - first
    assert set(warehouse.unneeded_files("t", [], 0)) == warehouse.files("t", 1)


def test_a_change_feed_stays_as_long_as_the_versions_it_leads_from(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    feed = {"delta.enableChangeDataFeed": "true"}
    write_deltalake(warehouse.path("t"), pa.table({"n": [1, 2]}), configuration=feed)
    for value in ("3", "4"):
        DeltaTable(warehouse.path("t")).update(predicate="n = 2 OR n = 3", updates={"n": value})
    changes = set((tmp_path / "t" / "_change_data").iterdir())
    assert len(changes) == 2
    assert not changes & set(warehouse.unneeded_files("t", [0, 1, 2], 0))
    assert len(changes & set(warehouse.unneeded_files("t", [1, 2], 0))) == 1
    assert changes <= set(warehouse.unneeded_files("t", [], 0))


def test_versions_list_the_warehouse_but_not_what_lies_beside(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"))
    put(warehouse, "reviews", reviews())
    put(Warehouse(warehouse.root / "_candidates"), "default_topk", [])
    put(Warehouse(warehouse.root), "default_topk", [])
    assert warehouse.versions() == {"default_topk": 0, "item_summaries": 1, "reviews": 0}


QUOTES = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.none() | st.sampled_from(["loss", "first_loss", "label_agreement"]),
            "value": st.none() | st.floats(allow_nan=False, width=32),
        }
    ),
    max_size=3,
)
CONTENT = st.dictionaries(
    st.sampled_from(["enc1", "enc2", "enc 3", "énc4"]),
    st.fixed_dictionaries(
        {"metrics": QUOTES, "pair_count": st.integers(0, 3), "artefact": st.text("ab'\"é", max_size=2)}
    ),
)


def embedding(text_hash: str) -> Row:
    return {"text_hash": text_hash, "base_model": "m@1:256", "vector": [1.0, 0.0]}


def test_a_cache_takes_each_key_once_whoever_brings_it(tmp_path: Path) -> None:
    """As a night and a backtest embed the same texts at the same moment, one of them through a link."""
    real = Warehouse(tmp_path / "real")
    real.add_new("text_embeddings", arrow("text_embeddings", []))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "text_embeddings").symlink_to(tmp_path / "real" / "text_embeddings")
    other = Warehouse(tmp_path / "other")
    rows = [arrow("text_embeddings", [embedding(f"{n}"), embedding(f"{n}")]) for n in range(12)]
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda job: job[0].add_new("text_embeddings", job[1]), product((real, other), rows)))
    assert sum(result.inserted for result in added) == 12
    assert sorted(real.read("text_embeddings")["text_hash"].to_pylist(), key=int) == [f"{n}" for n in range(12)]


def test_a_duplicate_in_a_cache_is_tolerated_and_mended(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    for _ in range(2):
        warehouse.append("text_embeddings", arrow("text_embeddings", [embedding("a")]))
    assert vectors_of_keys(warehouse, pa.chunked_array([["a", "a"]]), "m@1:256").tolist() == [[1.0, 0.0]] * 2
    console = Console(file=StringIO(), width=100)
    mend(tmp_path, console)
    assert warehouse.read("text_embeddings").num_rows == 1
    mend(tmp_path, console)
    assert isinstance(console.file, StringIO)
    sound = ["llm_calls: sound", "parsed_reviews: sound"]
    mended = "text_embeddings: 1 row taken out that said the same again"
    assert console.file.getvalue().splitlines() == [*sound, mended, *sound, "text_embeddings: sound"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nights=st.lists(st.tuples(st.booleans(), CONTENT), min_size=1, max_size=4))
def test_any_sequence_of_writes_equals_a_dict(
    nights: list[tuple[bool, dict[str, Row]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    warehouse = Warehouse(tmp_path_factory.mktemp("model"))
    common: dict[str, Any] = {**shop()["encoders"][0], "encoder_id": None}
    model: dict[str, Row] = {}
    for whole, content in nights:
        rows = {key: {**common, **values, "encoder_id": key} for key, values in content.items()}
        after = rows if whole else {**model, **rows}
        write = warehouse.replace if whole else warehouse.upsert
        result = write("encoders", arrow("encoders", list(rows.values())))
        counts = (
            len(after.keys() - model.keys()),
            sum(after[key] != model[key] for key in after.keys() & model.keys()),
            len(model.keys() - after.keys()),
        )
        assert (result.inserted, result.updated, result.deleted) == counts
        model = after
        assert warehouse.read("encoders").to_pylist() == [model[key] for key in sorted(model)]


def test_an_earlier_version_is_brought_back_without_copying(warehouse: Warehouse) -> None:
    replace(warehouse, summary("capo"))
    wanted = warehouse.version("item_summaries") or 0
    replace(warehouse, summary("tuner"), summary("picks"))
    files = set(Path(warehouse.path("item_summaries")).glob("*.parquet"))
    assert warehouse.restore("item_summaries", wanted)
    assert stored(warehouse) == [summary("capo")]
    assert warehouse.files("item_summaries") == warehouse.files("item_summaries", wanted)
    assert set(Path(warehouse.path("item_summaries")).glob("*.parquet")) == files
    version = warehouse.version("item_summaries")
    assert not warehouse.restore("item_summaries", wanted)
    assert warehouse.version("item_summaries") == version == wanted + 2
    replace(warehouse, summary("strap"))
    (gone,) = warehouse.files("item_summaries", wanted)
    gone.unlink()
    with pytest.raises(PipelineError, match=f"files of version {wanted} were deleted"):
        warehouse.restore("item_summaries", wanted)
    assert stored(warehouse) == [summary("strap")]


@pytest.mark.parametrize("ours", [True, False], ids=["as created here", "Delta's defaults"])
def test_the_log_of_an_old_version_outlives_delta_s_clean_up(warehouse: Warehouse, ours: bool) -> None:
    path = warehouse.path("item_summaries")
    if not ours:
        write_deltalake(path, arrow("item_summaries", [summary("picks")]))
    replace(warehouse, summary("capo"))
    first = warehouse.version("item_summaries")
    for text in ("a", "b"):
        replace(warehouse, summary("capo", text))
    years_ago = time.time() - 4_000 * 24 * 3600
    for entry in Path(path, "_delta_log").iterdir():
        os.utime(entry, (years_ago, years_ago))
    table = DeltaTable(path)
    table.create_checkpoint()
    table.cleanup_metadata()
    if ours:
        assert warehouse.read("item_summaries", version=first).to_pylist() == [summary("capo")]
    else:
        with pytest.raises(PipelineError, match="cannot be opened"):
            warehouse.read("item_summaries", version=first)


@pytest.mark.parametrize("address", ["s3://bucket/warehouse", "abfss://lake@store.dfs.core.windows.net/w", "gs://b/w"])
def test_an_address_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.chdir(tmp_path)
    for root in (address, Path(address), Path(address).resolve()):
        with pytest.raises(PipelineError, match="an address where a folder was expected"):
            Warehouse(root)
    assert list(tmp_path.iterdir()) == []
