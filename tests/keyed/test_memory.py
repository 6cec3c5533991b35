"""Memory of the keyed stages does not grow with the shop."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "measured_stage.py"
STAGES = ("review_aspects", "item_summaries", "item_personas", "text_embeddings", "persona_vectors", "user_vectors")
FEW = 1_000  # items, with eight users each


def peak(stage: str, items: int, root: Path, *bounds: int) -> int:
    """Most bytes a process held that ran the stage."""
    command = [sys.executable, str(SCRIPT), stage, str(items), str(root / str(items)), *map(str, bounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return int(done.stdout.splitlines()[-1]) if stage != "build" else 0


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[int]]:
    """Peaks of every stage over a shop and one of four times its size."""
    root = tmp_path_factory.mktemp("growing")
    return {stage: [peak(stage, items, root) for items in (FEW, 4 * FEW)] for stage in ("build", *STAGES)} | {
        "in one bucket": [peak("user_vectors", 4 * FEW, _again(root), 2**40, 2**30)]
    }


def _again(root: Path) -> Path:
    """The larger shop with its vectors to be made anew."""
    (root / str(4 * FEW) / "user_vectors").rename(root / "set aside")
    return root


@pytest.mark.parametrize("stage", STAGES)
def test_four_times_the_shop_takes_no_more_memory(peaks: dict[str, list[int]], stage: str) -> None:
    few, many = peaks[stage]
    assert many <= 1.3 * few, f"{few / 2**20:.0f} MB, {many / 2**20:.0f} MB of four times as much"


def test_what_is_in_one_bucket_would(peaks: dict[str, list[int]]) -> None:
    """That the sizes are such that a whole table is seen."""
    assert peaks["in one bucket"][0] > 1.3 * peaks["user_vectors"][0]
