"""Which release is served, which one a night starts from, and tables at the versions a release names."""

from datetime import date
from pathlib import Path

import pytest
from helpers import Row, arrow, put, shop

from persona_pipeline.core.errors import PipelineError, ReleaseError
from persona_pipeline.publish.releases import parent_of, published, read_released, served
from persona_pipeline.warehouse import Warehouse

NIGHTS = [date(2024, 6, day) for day in (27, 28, 29, 30)]


def release(as_of: date, verdict: str = "published", name: str = "a", **versions: int) -> Row:
    return {
        "release_id": f"{as_of}-{name}", "as_of": as_of, "parent_release_id": None, "verdict": verdict, "reasons": [],
        "encoder_id": "enc1", "config_digest": "c", "config": "{}", "metrics": [],
        "table_versions": [{"table": table, "version": version} for table, version in versions.items()],
    }  # fmt: skip


def write(root: Path, *rows: Row) -> Warehouse:
    warehouse = Warehouse(root)
    warehouse.upsert("releases", arrow("releases", rows))
    return warehouse


def test_before_any_release(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    assert published(warehouse) == []
    assert served(warehouse) is None
    assert parent_of(warehouse, NIGHTS[0]) is None
    with pytest.raises(PipelineError, match=r"nothing has been published in .* yet; `make nightly` runs a night"):
        read_released(warehouse, "default_topk")


def test_the_newest_published_night_is_served(tmp_path: Path) -> None:
    warehouse = write(
        tmp_path,
        release(NIGHTS[1], reviews=4),
        release(NIGHTS[0], reviews=2),
        release(NIGHTS[2], "refused"),
        release(NIGHTS[1], "superseded", "0"),
    )
    assert [found.as_of for found in published(warehouse)] == NIGHTS[:2]
    found = served(warehouse)
    assert found is not None
    assert (found.release_id, found.encoder_id, found.versions) == ("2024-06-28-a", "enc1", {"reviews": 4})


def test_the_parent_is_the_last_night_published_before(tmp_path: Path) -> None:
    warehouse = write(tmp_path, release(NIGHTS[0]), release(NIGHTS[1]), release(NIGHTS[2], "refused"))
    parent = parent_of(warehouse, NIGHTS[3])
    assert parent is not None
    assert parent.as_of == NIGHTS[1]


def test_a_rerun_has_the_parent_of_the_first_run(tmp_path: Path) -> None:
    warehouse = write(tmp_path, release(NIGHTS[0]))
    first = parent_of(warehouse, NIGHTS[1])
    write(tmp_path, release(NIGHTS[1]))
    assert parent_of(warehouse, NIGHTS[1]) == first
    assert first is not None
    assert first.as_of == NIGHTS[0]


def test_the_first_night_again_has_no_parent(tmp_path: Path) -> None:
    assert parent_of(write(tmp_path, release(NIGHTS[0])), NIGHTS[0]) is None


def test_a_night_before_the_served_one_is_refused(tmp_path: Path) -> None:
    warehouse = write(tmp_path, release(NIGHTS[0]), release(NIGHTS[2]))
    said = r"as_of 2024-06-28 lies before the served release 2024-06-29-a \(as_of 2024-06-29\)\. .* another WAREHOUSE"
    with pytest.raises(ReleaseError, match=said):
        parent_of(warehouse, NIGHTS[1])


def test_refused_nights_do_not_bar_the_way(tmp_path: Path) -> None:
    warehouse = write(tmp_path, release(NIGHTS[0]), release(NIGHTS[2], "refused"))
    parent = parent_of(warehouse, NIGHTS[1])
    assert parent is not None
    assert parent.as_of == NIGHTS[0]


def test_readers_get_the_versions_of_the_release(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    rows = shop()["user_item_topk"]
    for value in (0.1, 0.2, 0.3):
        rows[0]["score"] = value
        put(warehouse, "user_item_topk", rows)
    write(tmp_path, release(NIGHTS[0], user_item_topk=0), release(NIGHTS[1], user_item_topk=1))

    def score(name: str | None = None) -> float:
        chosen = next((found for found in published(warehouse) if found.release_id == name), None)
        found = read_released(warehouse, "user_item_topk", chosen, where="user_id = 'ana' AND rank = 1")
        return float(found["score"][0].as_py())

    assert score() == 0.2  # not 0.3, which no release names
    assert score("2024-06-27-a") == 0.1
    assert read_released(warehouse, "user_item_topk").num_rows == len(rows)
