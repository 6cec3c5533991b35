"""What a rerun and a next night with about 5% new reviews redo: `next_night.py WAREHOUSE SOURCE REVIEWS [ITEMS]`.

Without arguments, on the synthetic demo. The first night is as of the day that leaves the newest twentieth of the reviews
to the next one.
"""

import json
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from persona_pipeline.config import load_config
from persona_pipeline.orchestrate.local import LocalRun
from persona_pipeline.runs.order import ORDER
from persona_pipeline.sources.adapters import adapter
from persona_pipeline.sources.files import check_files, file_records
from persona_pipeline.sources.given import GivenRecords
from persona_pipeline.sources.newest import day_after_newest
from persona_pipeline.sources.values import moment
from persona_pipeline.warehouse import Warehouse

NEW_SHARE = 0.05


def main(root: Path, source: str, reviews: Path, items: Path | None) -> dict[str, Any]:
    """Three nights: the first, the first again, the next."""
    given = GivenRecords("reviews", reviews, adapter(source))
    first, second = _first_night(reviews, source), day_after_newest(given, load_config("local").interactions)
    console = Console(stderr=True, highlight=False)
    nights, versions = {}, {}
    for name, as_of in (("first", first), ("rerun", first), ("next", second)):
        console.print(f"{name}: as of {as_of}")
        nights[name] = LocalRun(root, as_of, load_config("local"), source, reviews, items).run(ORDER, console)
        versions[name] = Warehouse(root).versions()
    redone = {name: _redone(summaries) for name, summaries in nights.items()}
    return {"rerun_changed_tables": sum(versions["first"][t] != v for t, v in versions["rerun"].items()), **redone}


def _redone(summaries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "reviews": summaries["reviews"]["lines"] - summaries["reviews"]["not_yet"],
        "reviews_read": summaries["review_aspects"]["extracted"],
        "items_profiled": summaries["item_personas"]["extracted"],
        "items": summaries["item_personas"]["items"],
        "personas_retired": summaries["item_personas"]["retired"],
        "texts_embedded": sum(s.get("embedded", 0) for s in summaries.values()),
        "encoder_trained": summaries["encoders"]["trained"],
        "users_encoded": summaries["user_vectors"]["encoded"],
        "users": summaries["user_vectors"]["vectors"],
        "rows_published": sum(r["inserted"] + r["updated"] + r["deleted"] for r in summaries["releases"]["written"]),
        "seconds": round(sum(s["seconds"] for s in summaries.values()), 1),
    }


def _first_night(reviews: Path, source: str) -> date:
    known = adapter(source)
    found = [
        record.fields[known.reviews["timestamp"][0]]
        for file in check_files(reviews, "reviews", known)
        for record in file_records(file)
        if isinstance(record.fields, dict)
    ]
    moments = np.sort(np.array([when for text in found if (when := moment(text)) is not None]))
    return datetime.fromtimestamp(int(moments[int(len(moments) * (1 - NEW_SHARE))]) / 1_000_000, UTC).date()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        if len(sys.argv) > 1:
            root, source, reviews, *items = sys.argv[1:]
            result = main(Path(root), source, Path(reviews), Path(items[0]) if items else None)
        else:
            from persona_pipeline.sources.synthetic import SyntheticConfig, generate, write

            world = Path(scratch) / "world"
            write(generate(SyntheticConfig()), world)
            result = main(Path(scratch) / "wh", "jsonl", world / "reviews.jsonl.gz", world / "items.jsonl.gz")
    print(json.dumps(result))
