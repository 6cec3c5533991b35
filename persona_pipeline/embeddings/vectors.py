"""Convert Arrow columns of equally long lists into matrices and back."""

import numpy as np
import pyarrow as pa

_MOST = 2**31 - 1  # numbers in one array of lists: its offsets have 32 bits


def vectors_of(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A column of equally long float lists as one matrix, (rows, d), without a Python loop over rows.

    Chunk by chunk: brought together in Arrow, their offsets end at 2^31 numbers.
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [np.asarray(chunk.flatten()).reshape(len(chunk), -1) for chunk in chunks if len(chunk)]
    if not parts:
        return np.empty((0, 0), np.float32)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def lists_of(matrix: np.ndarray) -> pa.ChunkedArray:
    """The rows of a matrix, (rows, d), as a column of lists: in as many chunks as their offsets need."""
    rows, width = matrix.shape
    most = max(1, _MOST // max(1, width))
    chunks = [_lists(matrix[start : start + most]) for start in range(0, rows, most)] or [_lists(matrix)]
    return pa.chunked_array(chunks)


def _lists(matrix: np.ndarray) -> pa.ListArray:
    offsets = pa.array(np.arange(len(matrix) + 1, dtype=np.int64) * matrix.shape[1], pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.reshape(-1)))
