"""Lists, scores and fallback levels, at the versions of a release, without any of the heavy libraries."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import served
from helpers import put
from served import STRANGE

from persona_pipeline.core.errors import PipelineError, ReleaseError
from persona_pipeline.publish.releases import served as served_release
from persona_pipeline.serving import Recommendations
from persona_pipeline.warehouse import Warehouse

LATER = date(2024, 7, 1)


@pytest.fixture(scope="module")
def shop(shop_served: Path) -> Recommendations:
    return Recommendations(shop_served)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A served warehouse of the test's own."""
    made = served.encoder()
    return served.serve(tmp_path / "own", served.tables(made), made).root


def next_release(root: Path, title: str) -> None:
    """Another night, in which every item has that title."""
    made = served.encoder()
    rows = served.tables(made)
    for row in rows["user_item_topk"]:
        row["item_title"] = title
    served.serve(root, rows, made, LATER)


def test_top_is_the_users_list_best_first(shop: Recommendations, shop_served: Path) -> None:
    rows = Warehouse(shop_served).read("user_item_topk").to_pylist()
    for user in {row["user_id"] for row in rows}:
        mine = [row for row in rows if row["user_id"] == user]
        found = shop.top(user, 2)
        assert [(r.rank, r.item_id, r.score, r.explanation) for r in found] == [
            (row["rank"], row["item_id"], row["score"], row["explanation"]) for row in mine[:2]
        ]
        assert [c.share for c in found[0].contributions] == [c["share"] for c in mine[0]["contributions"]]
        assert [s.quote for s in found[0].evidence] == [e["quote"] for e in mine[0]["evidence"]]
    assert STRANGE in {row["user_id"] for row in rows}


def test_the_ladder(shop: Recommendations) -> None:
    assert {row.recommendation_source for row in shop.top("ana")} == {"persona", "metadata_persona"}
    assert next(r for r in shop.top("ana") if r.recommendation_source == "metadata_persona").item_id == "metronome"
    assert shop.source("ana") == "persona"

    unusable = shop.top("eve")  # who gave the strap, liked by most, one star
    assert {row.recommendation_source for row in unusable} == {shop.source("eve")} == {"unusable_history"}
    assert [(row.rank, row.item_id) for row in unusable] == [(1, "capo"), (2, "tuner"), (3, "strings")]

    unknown = shop.top("nobody", 2)
    assert {row.recommendation_source for row in unknown} == {shop.source("nobody")} == {"unknown_user"}
    assert [(row.rank, row.item_id) for row in unknown] == [(1, "strap"), (2, "capo")]
    assert unknown[0].contributions == ()


def test_online_scores_are_those_of_the_night(shop: Recommendations) -> None:
    for user in ("ana", "ben", "cleo", "dan", STRANGE):
        rows = shop.top(user)
        scores = shop.score(user, [row.item_id for row in reversed(rows)])
        np.testing.assert_allclose(scores, [row.score for row in reversed(rows)], rtol=0, atol=1e-9)


def test_scores_of_anything_for_anyone(shop: Recommendations) -> None:
    assert np.isnan(shop.score("ana", ["harp", "capo"])).tolist() == [True, False]
    assert shop.score("ana", []).shape == (0,)
    for user in ("eve", "nobody"):
        rows = shop.top(user)
        assert shop.score(user, [row.item_id for row in rows]) == pytest.approx([row.score for row in rows], abs=1e-9)
        assert shop.score(user, ["metronome"]).tolist() == [0.0]  # nobody has liked it yet


def test_a_published_night_is_seen_after_a_refresh_and_not_before(own: Path) -> None:
    reader = Recommendations(own)
    before = reader.top("ana")
    next_release(own, "New")
    assert reader.top("ana") == before
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(reader.top, "ana") for _ in range(50)]
        assert reader.refresh()
        asked += [pool.submit(reader.top, "ana") for _ in range(50)]
        titles = [{row.item_title for row in answer.result()} for answer in asked]
    assert reader.release.as_of == LATER
    assert titles[-50:] == [{"New"}] * 50
    assert all(found in ({row.item_title for row in before}, {"New"}) for found in titles)
    assert not reader.refresh()


def test_vectors_in_use_are_read_before_going_over(own: Path) -> None:
    reader = Recommendations(own)
    next_release(own, "New")
    assert reader.refresh()
    assert "_online" not in vars(reader._snapshot)
    reader.score("ana", ["capo"])
    served.serve(own, served.tables(served.encoder()), served.encoder(), date(2024, 7, 2))
    assert reader.refresh()
    assert "_online" in vars(reader._snapshot)


def test_a_night_in_progress_is_not_seen(own: Path) -> None:
    reader = Recommendations(own)
    before = reader.top("ana")
    rows = Warehouse(own).read("user_item_topk").to_pylist()
    put(Warehouse(own), "user_item_topk", [row for row in rows if row["user_id"] != "ana"])
    assert not reader.refresh()
    assert reader.top("ana") == Recommendations(own).top("ana") == before


def test_a_release_by_name_is_stayed_with(own: Path) -> None:
    first = served_release(Warehouse(own))
    assert first is not None
    next_release(own, "New")
    named = Recommendations(own, first.release_id)
    assert named.release == Recommendations(own, first).release == first
    assert not named.refresh()
    assert {row.item_title for row in named.top("ana")} != {"New"}
    with pytest.raises(ReleaseError, match=r"no published release 1999 in .*; there are: 2024-06-30-a, 2024-07-01-a"):
        Recommendations(own, "1999")


def test_before_any_release(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"nothing has been published in .* yet; `make nightly` runs a night"):
        Recommendations(tmp_path)


def test_buckets_the_table_is_not_divided_by_do_not_hide_a_list(own: Path) -> None:
    expected = Recommendations(own).top("ana")
    rows = Warehouse(own).read("user_item_topk").to_pylist()
    for row in rows:
        row["user_bucket"] = 0  # whatever the configuration on record says
    made = served.encoder()
    served.serve(own, served.tables(made) | {"user_item_topk": rows}, made, LATER)
    assert Recommendations(own).top("ana") == expected
    assert expected[0].recommendation_source == "persona"


def test_neither_spark_nor_duckdb_nor_pandas_nor_torch_is_needed(shop_served: Path) -> None:
    code = f"""
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("airflow", "duckdb", "great_expectations", "pandas", "pyspark", "torch"):
            raise ImportError(name)

sys.meta_path.insert(0, Without())
from persona_pipeline.serving import Recommendations
shop = Recommendations({str(shop_served)!r})
item = shop.top("ana")[0].item_id
assert "scipy" not in sys.modules
print(shop.score("ana", [item]), shop.why("ana", item).margin, shop.top("eve")[0].item_id)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
