"""What is compiled once serves every later process."""

import os
import subprocess
import sys
from pathlib import Path

RANK = """
import numpy as np, pickle
from scipy.sparse import csr_array
from persona_pipeline.score.topk.kernel import ItemIndex, top_items
for aggregation in ("softmax", "max"):
    item_index = ItemIndex.build(np.array(["A", "B"]), np.eye(2, dtype=np.float32), {"A": 0.0, "B": 0.0}, 0.1, aggregation)
    item_index.vectors.flags.writeable = aggregation == "max"  # broadcast arrays are not
    for candidates in (None, [np.array([0, 1])] * 2):
        for precision in ("int8", "float32"):
            top_items(item_index, np.eye(2), [np.array([], int)] * 2, 2, 2**20, csr_array((2, 2)), candidates=candidates,
                      precision=precision)
"""


def compiled(folder: Path, *program: str) -> set[str]:
    """Files in the cache after running a program."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    subprocess.run([sys.executable, *program], check=True, env=environment)
    return {path.name for path in folder.rglob("*.nbc")}


def test_a_task_compiles_nothing_that_set_up_has_not(tmp_path: Path) -> None:
    before = compiled(tmp_path, "-m", "persona_pipeline.score.topk.compile")
    assert len(before) >= 7
    assert compiled(tmp_path, "-c", RANK) == before
