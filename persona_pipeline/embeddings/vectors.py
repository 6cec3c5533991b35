"""Convert Arrow columns of equally long lists into matrices."""

import numpy as np
import pyarrow as pa


def vectors_of(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A column of equally long float lists as one matrix, (rows, d), without a Python loop."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if len(array) == 0:
        return np.empty((0, 0), np.float32)
    return np.asarray(array.flatten()).reshape(len(array), -1)
