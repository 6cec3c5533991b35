"""Vectors in a mapped file, and columns of lists past what offsets of 32 bits can name."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings import vectors
from persona_pipeline.embeddings.mapped import mapped_vectors, vectors_on_disk
from persona_pipeline.embeddings.vectors import lists_of, vectors_of
from persona_pipeline.warehouse import Warehouse

KEYS = [f"{n:032x}" for n in range(6)]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Two files, one key in both, one of another model."""
    found = Warehouse(tmp_path / "wh")
    for keys, model in ((KEYS[:3], "m@1:256"), (KEYS[2:5], "m@1:256"), (KEYS[5:], "other@1:256")):
        values = [[float(int(key, 16)), 1.0] for key in keys]
        rows = pa.table({"text_hash": keys, "base_model": [model] * len(keys), "vector": values})
        found.append("text_embeddings", rows)
    return found


def test_vectors_are_found_by_their_key_in_the_order_asked(warehouse: Warehouse, tmp_path: Path) -> None:
    wanted = pa.table({"text_hash": [*KEYS[:5], KEYS[0]]})
    found = mapped_vectors(warehouse, wanted, "m@1:256", tmp_path / "v")
    assert (len(found), found.dimensions) == (5, 2)
    asked = pa.chunked_array([[KEYS[4], KEYS[2]], [KEYS[2], KEYS[0]]])
    np.testing.assert_array_equal(found.of(asked), [[4, 1], [2, 1], [2, 1], [0, 1]])
    assert found.of(pa.array([], pa.string())).shape == (0, 2)
    # Another process opens the same files.
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).of(asked), found.of(asked))


def test_what_is_made_of_them_has_their_keys(warehouse: Warehouse, tmp_path: Path) -> None:
    found = mapped_vectors(warehouse, pa.table({"text_hash": KEYS[:5]}), "m@1:256", tmp_path / "v")
    made = found.mapped(tmp_path / "w", lambda rows: np.tile(rows.astype(np.float64) / 3, 2))
    np.testing.assert_array_equal(made.of(pa.array([KEYS[3]])), [[1, 1 / 3, 1, 1 / 3]])


def test_one_that_is_missing_is_told_and_goes_with_its_folder(warehouse: Warehouse, tmp_path: Path) -> None:
    with vectors_on_disk(warehouse, pa.table({"text_hash": KEYS}), "m@1:256", tmp_path) as found:
        with pytest.raises(PipelineError, match="1 texts have no embedding by m@1:256; run the text_embeddings task"):
            found.of(pa.array(KEYS))
        assert found.folder.is_dir()
    assert not found.folder.exists()


def test_of_nothing_there_is_nothing(tmp_path: Path) -> None:
    found = mapped_vectors(Warehouse(tmp_path), pa.table({"text_hash": pa.array([], pa.string())}), "m", tmp_path / "v")
    assert len(found.of(pa.array([], pa.string()))) == len(found.mapped(tmp_path / "w", np.exp)) == 0
    with pytest.raises(PipelineError, match="1 texts"):
        found.of(pa.array(KEYS[:1]))


def test_lists_end_where_offsets_of_32_bits_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """As past 2^31 numbers, with a limit that needs less memory."""
    matrix = np.arange(40, dtype=np.float32).reshape(10, 4)
    monkeypatch.setattr(vectors, "_MOST", 13)  # three rows
    found = lists_of(matrix)
    assert [len(chunk) for chunk in found.chunks] == [3, 3, 3, 1]
    assert found.type == pa.list_(pa.float32())
    np.testing.assert_array_equal(vectors_of(found), matrix)
    assert lists_of(matrix[:0]).to_pylist() == []


def test_chunks_of_lists_are_read_one_by_one() -> None:
    """Brought together they overflow the offsets of one array, as a column of 2^31 numbers does that is one vector many times."""
    one = pa.array([[1] * 2**18], pa.list_(pa.int8()))
    many = pa.chunked_array([one] * (2**13 + 1))
    with pytest.raises(pa.ArrowInvalid, match="overflow"):
        many.combine_chunks()
    assert vectors_of(many).shape == (2**13 + 1, 2**18)
