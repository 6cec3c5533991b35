"""Kills `jobs.releases` at random moments and looks at what readers get: `publish_chaos.py [KILLS] [SEED]`, 10 and 0 by default.

A small warehouse with a published night and the next one waiting. Half of the moments are spread over the whole job, half
over its publication, from the first file written to the row of `releases`. After each kill readers must get one whole
night or the other; a rerun must complete the new one.
"""

import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from killed_publication import files, kill_when, prepare, publish, said, wanted
from published_reader import digest

from persona_pipeline.warehouse import Warehouse

WRITTEN = "user_item_topk/**/*.parquet"


def main(kills: int, seed: int, root: Path) -> dict[str, Any]:
    """Kill, look, run again."""
    rng = random.Random(seed)  # noqa: S311
    base = prepare(root / "base")
    whole, publishing = _undisturbed(Path(shutil.copytree(base.parent, root / "undisturbed")) / "warehouse")
    print(f"undisturbed: {whole:.1f} s, of which {publishing:.1f} s publishing")
    outcomes = []
    for number in range(kills):
        warehouse = Path(shutil.copytree(base.parent, root / f"kill{number}")) / "warehouse"
        late = number % 2 == 1
        after = rng.uniform(0, publishing if late else whole)
        before = files(warehouse, WRITTEN)
        old, new = wanted(warehouse)
        ready = (lambda w=warehouse, n=before: files(w, WRITTEN) > n) if late else (lambda: True)
        hit = kill_when(publish(warehouse), ready, after)
        seen = {old: "old", new: "new"}.get(digest(Warehouse(warehouse)), "MIXTURE")
        rerun = publish(warehouse)
        output, _ = rerun.communicate()
        completed = rerun.returncode == 0 and digest(Warehouse(warehouse)) == new
        where = f"{after:.1f} s after its first file" if late else f"{after:.1f} s after its start"
        print(
            f"{number + 1:>3}  {where:<32} {'killed' if hit else 'had ended':<10} readers: {seen:<8} rerun: {said(output)['event']}"
        )
        outcomes.append((hit, seen, completed))
        shutil.rmtree(warehouse.parent)
    return {
        "kills": sum(hit for hit, _, _ in outcomes),
        "readers_old": sum(seen == "old" for _, seen, _ in outcomes),
        "readers_new": sum(seen == "new" for _, seen, _ in outcomes),
        "mixtures": sum(seen == "MIXTURE" for _, seen, _ in outcomes),
        "reruns_completed": sum(completed for _, _, completed in outcomes),
        "seconds_undisturbed": round(whole, 1),
    }


def _undisturbed(warehouse: Path) -> tuple[float, float]:
    """Seconds of the whole job, and from the first file of the publication to its end."""
    before, started, first = files(warehouse, WRITTEN), time.monotonic(), 0.0
    process = publish(warehouse)
    while process.poll() is None:
        if not first and files(warehouse, WRITTEN) > before:
            first = time.monotonic()
        time.sleep(0.005)
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(output)
    return time.monotonic() - started, time.monotonic() - first


if __name__ == "__main__":
    kills, seed = [*map(int, sys.argv[1:3]), *(10, 0)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(main(kills, seed, Path(folder))))
