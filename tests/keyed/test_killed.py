"""A keyed stage killed in the middle of its buckets loses nothing and leaves nothing."""

import signal
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from persona_pipeline.keyed.task import SCRATCH
from persona_pipeline.warehouse import Warehouse

SCRIPT = Path(__file__).parents[1] / "support" / "measured_stage.py"
STAGES = ("item_summaries", "item_personas", "text_embeddings", "user_vectors")
KILLED = ("item_summaries", "user_vectors")
ITEMS = 60
BUCKET, MEMORY = 1 << 14, 1 << 28


def run(stage: str, root: Path, dies: int = 0) -> int:
    command = [sys.executable, str(SCRIPT), stage, str(ITEMS), str(root), str(BUCKET), str(MEMORY), str(dies)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-2_000:]
    return done.returncode


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A shop as each stage finds it, and as the last left it."""
    root = tmp_path_factory.mktemp("shop")
    run("build", root / "now")
    found = {}
    for stage in STAGES:
        if stage in KILLED:
            found[stage] = copytree(root / "now", root / stage)
        assert run(stage, root / "now") == 0
    return found | {"done": root / "now"}


@pytest.mark.parametrize("stage", KILLED)
def test_a_killed_stage_is_done_by_its_next_attempt(undisturbed: dict[str, Path], tmp_path: Path, stage: str) -> None:
    warehouse = Warehouse(copytree(undisturbed[stage], tmp_path / "wh"))
    assert run(stage, warehouse.root, dies=3) == -signal.SIGKILL
    assert warehouse.read(stage).num_rows == 0
    # Two files lie there, of no version, and the third under a name that is none yet.
    assert len(list(Path(warehouse.path(stage)).glob("*.parquet"))) == 2
    assert list((warehouse.root / SCRATCH).iterdir())
    assert run(stage, warehouse.root) == 0
    assert not list((warehouse.root / SCRATCH).iterdir())
    assert warehouse.read(stage).equals(Warehouse(undisturbed["done"]).read(stage))
