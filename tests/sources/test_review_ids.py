"""Lists of review ids as people hand them in."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.review_ids import read_ids


def refused(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read_ids(path)
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize("packed", [False, True])
def test_one_a_line(tmp_path: Path, packed: bool) -> None:
    text = "\ufeffreview_id\nr1\n\n r2 \r\n7.0\nr1\nNaN\n".encode()
    path = tmp_path / "ids"
    path.write_bytes(gzip.compress(text) if packed else text)
    assert read_ids(path)["review_id"].to_pylist() == ["r1", "r2", "7"]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array(["r1", None, "7.0", "r1", "a,b"]), ["r1", "7", "a,b"]),
        (pa.array([7, None, 8]), ["7", "8"]),
        (pa.array([7.0, None, 8.0]), ["7", "8"]),
        (pa.array(["r1"]).dictionary_encode(), ["r1"]),
    ],
)
def test_parquet_holds_the_ids_of_reviews_whatever_their_type(
    tmp_path: Path, ids: pa.Array, expected: list[str]
) -> None:
    pq.write_table(pa.table({"review_id": ids}), tmp_path / "ids[1].parquet")
    assert read_ids(tmp_path / "ids[1].parquet")["review_id"].to_pylist() == expected


def test_what_is_no_list_of_ids_is_told_under_the_setting_that_names_it(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone").startswith("reviews.withdrawn: FILE: no such file")
    path = tmp_path / "ids"
    path.write_text("r1\nr2,u2\n")
    assert refused(path) == "reviews.withdrawn: FILE: expected one review id a line and nothing else, found 'r2,u2'"
    pq.write_table(pa.table({"id": ["r1"], "n": [1]}), path)
    assert refused(path) == "reviews.withdrawn: FILE needs a column review_id; its columns: id, n"
    pq.write_table(pa.table({"review_id": [["r1"]]}), path)
    assert refused(path) == "reviews.withdrawn: FILE: review_id is a list where one value was expected"
