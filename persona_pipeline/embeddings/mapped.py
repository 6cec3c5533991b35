"""Keep vectors of `text_embeddings` in a file, found by their key: read in one pass, held by nobody (`MappedVectors`)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.vectors import vectors_of
from persona_pipeline.warehouse import Warehouse

_KEY = "S32"  # a key of `text_embeddings`: 32 hexadecimal digits
_ROWS = 8_192  # read or transformed at once


class MappedVectors:
    """Vectors by key, mapped into memory: what of them is held is the system's affair, and given back when it needs the room.

    In memory: 40 bytes a vector while they are put in order, none after that.
    """

    def __init__(self, folder: Path, base_model: str) -> None:
        self.folder, self.base_model = folder, base_model
        self._keys, self._places, self._vectors = (
            _opened(folder / f"{name}.npy") for name in ("keys", "places", "vectors")
        )

    def __reduce__(self) -> tuple[type["MappedVectors"], tuple[Path, str]]:
        return MappedVectors, (self.folder, self.base_model)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._vectors.shape[1])

    def of(self, keys: pa.ChunkedArray | pa.Array) -> np.ndarray:
        """Vectors of keys (n,), as (n, d). Raises PipelineError where one is missing: the text_embeddings task has not run."""
        wanted = np.asarray(keys.to_numpy(zero_copy_only=False)).astype(_KEY)
        found = np.searchsorted(self._keys, wanted)
        here = found < len(self._keys)
        here[here] = self._keys[found[here]] == wanted[here]
        if not here.all():
            raise PipelineError(
                f"{int((~here).sum())} texts have no embedding by {self.base_model}; run the text_embeddings task first"
            )
        vectors: np.ndarray = self._vectors[self._places[found]]
        return vectors

    def mapped(self, folder: Path, become: Callable[[np.ndarray], np.ndarray]) -> "MappedVectors":
        """What a function of rows makes of the vectors, (n, d) to (n, e), in a folder of its own, by the same keys."""
        made = _Writer(folder)
        for start in range(0, len(self._vectors), _ROWS):
            made.add(become(self._vectors[start : start + _ROWS]))
        return made.finished(self._keys, self._places, self.base_model)


def _opened(path: Path) -> np.ndarray:
    found: np.ndarray = np.load(path, mmap_mode="r" if path.stat().st_size > _Writer.HEAD else None)
    return found


class _Writer:
    """Appends rows to `vectors.npy`, whose shape is known at the end."""

    HEAD = 128

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._rows, self._width, self._kind = 0, 0, np.dtype(np.float32)
        self._file = (folder / "vectors.npy").open("wb")
        self._file.write(bytes(self.HEAD))

    def add(self, rows: np.ndarray) -> None:
        if len(rows):
            self._rows, self._width, self._kind = self._rows + len(rows), rows.shape[1], rows.dtype
            self._file.write(np.ascontiguousarray(rows).data)

    def finished(self, keys: np.ndarray, places: np.ndarray, base_model: str) -> MappedVectors:
        shape = f"{{'descr': {self._kind.str!r}, 'fortran_order': False, 'shape': ({self._rows}, {self._width}), }}"
        head = shape.encode().ljust(self.HEAD - 11) + b"\n"
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
        self._file.close()
        np.save(self._folder / "keys.npy", keys)
        np.save(self._folder / "places.npy", places)
        return MappedVectors(self._folder, base_model)


def mapped_vectors(warehouse: Warehouse, wanted: pa.Table | ds.Dataset, base_model: str, folder: Path) -> MappedVectors:
    """Copy the vectors of the `text_hash` of rows that `text_embeddings` has by a base model.

    One pass over the cache, joined with the distinct keys; what is missing is told by `MappedVectors.of`.
    """
    made = _Writer(folder)
    keys: list[np.ndarray] = []
    with warehouse.batches(
        "SELECT text_hash, vector FROM text_embeddings SEMI JOIN wanted USING (text_hash) WHERE base_model = $base_model",
        ["text_embeddings"],
        {"base_model": base_model},
        _ROWS,
        wanted=wanted,
    ) as batches:
        for batch in batches:
            made.add(vectors_of(batch["vector"]))
            keys.append(np.asarray(batch["text_hash"].to_numpy(zero_copy_only=False)).astype(_KEY))
    # Of a text that is there twice either will do: they are alike.
    distinct, places = np.unique(np.concatenate([np.empty(0, _KEY), *keys]), return_index=True)
    return made.finished(distinct, places, base_model)


@contextmanager
def vectors_on_disk(
    warehouse: Warehouse, wanted: pa.Table | ds.Dataset, base_model: str, within: Path | None = None
) -> Iterator[MappedVectors]:
    """`mapped_vectors` in a temporary folder that goes when the block ends."""
    with TemporaryDirectory(prefix="persona-pipeline-", dir=within, ignore_cleanup_errors=True) as folder:
        yield mapped_vectors(warehouse, wanted, base_model, Path(folder) / "vectors")
