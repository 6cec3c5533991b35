"""People erased from warehouses that earlier versions made, which lack columns and were written by Spark: converted or not."""

import tarfile
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pytest
from decoded import found_in
from deltalake import DeltaTable, write_deltalake
from helpers import arrow, put, shop
from rich.console import Console

from persona_pipeline.erasure import erase as erasing
from persona_pipeline.erasure.places import tables
from persona_pipeline.publish.releases import published
from persona_pipeline.runs.migrations import migrate
from persona_pipeline.serving import Recommendations
from persona_pipeline.warehouse import Warehouse

MADE = Path(__file__).resolve().parents[1] / "fixtures" / "warehouses"


@pytest.mark.parametrize("version", ["050d972", "c13f505"])
def test_others_are_recommended_what_they_were(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "PAUSE", 0.0)
    with tarfile.open(MADE / f"{version}.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    root = tmp_path / "warehouse"
    rows = Warehouse(root).read("reviews", ["review_id", "user_id"]).to_pylist()
    users = sorted({row["user_id"] for row in rows})
    gone, others = users[:3], users[3:]
    needles = [*gone, *(row["review_id"] for row in rows if row["user_id"] in gone)]
    assert len(found_in(root, needles)) == len(needles)
    readers = [Recommendations(root, release) for release in published(Warehouse(root))]
    before = [[[(row.item_id, row.score) for row in reader.top(user)] for user in others] for reader in readers]
    done = erasing.erase(root, gone, "ana")
    assert done.people == 3
    assert found_in(root, needles) == {}
    for told in (readers, [Recommendations(root, release) for release in published(Warehouse(root))]):
        assert [
            [[(row.item_id, row.score) for row in reader.top(user)] for user in others] for reader in told
        ] == before
    migrate(root, Console(file=StringIO()))
    assert found_in(root, needles) == {}


def test_whole_lines_that_earlier_versions_kept_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "PAUSE", 0.0)
    lines = [f'{{"user_id": "{user}", "text": "Never again"' for user in ("ANNA12345", "BERT12345")]
    rows = [{**shop()["rejected_reviews"][0], "source_line": n, "detail": None} for n in range(2)]
    kept = arrow("rejected_reviews", rows).append_column("text", pa.array(lines))
    folder = tmp_path / "rejected_reviews"
    write_deltalake(folder, kept)
    write_deltalake(folder, kept.drop_columns(["text"]), mode="overwrite", schema_mode="overwrite")
    assert erasing.erase(tmp_path, ["ANNA12345"], "ana").people == 1
    assert found_in(tmp_path, ["ANNA12345"]) == {}
    assert DeltaTable(folder, version=0).to_pyarrow_table()["text"].to_pylist() == lines[1:]


def test_ids_under_a_name_that_earlier_versions_used_are_searched(tmp_path: Path) -> None:
    put(Warehouse(tmp_path), "training_pairs", shop()["training_pairs"])
    (place,) = tables(tmp_path)
    assert place.contract is not None
    assert {("review_id", None), ("history_review_ids", None)} <= set(place.contract.subjects("review"))
