"""Write a large synthetic input: reviews, an increment, items, events, users to erase, and the truth in counts."""

import json
import shutil
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from persona_pipeline.core.atomic import atomic_folder
from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.synthetic.large.config import LargeConfig
from persona_pipeline.sources.synthetic.large.layout import Layout
from persona_pipeline.sources.synthetic.large.lines import Lines

TRUTH = "truth.json"
ERASED = 10


def write(spark: SparkSession, config: LargeConfig, folder: Path) -> None:
    """Write all files at once; the JVM writes the lines, no row passes through Python.

    `reviews/` has the reviews, `increment/` a hundredth more of the day after (for a second night, to be put beside them),
    `items.jsonl` and `events.jsonl` the catalogue and what is no review, `erase.txt` users to be forgotten, one a line,
    `truth.json` the counts. Raises SourceError where the folder is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SourceError(f"{folder}: there is something already; choose a folder that is empty or not there")
    layout = Layout(config)
    lines = Lines(spark, layout)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as partial:
        _written(lines.reviews(config.n_files), partial / "reviews", "reviews")
        _written(lines.increment(), partial / "increment", "increment")
        for name, rows in (("items", lines.items()), ("events", lines.events(1))):
            (file,) = _written(rows, partial / name, name)
            file.rename(partial / f"{name}.jsonl")
            (partial / name).rmdir()
        users = layout.ordinary_users
        erased = lines.user_ids(sorted({n * (users - 1) // (ERASED - 1) for n in range(ERASED)}))
        (partial / "erase.txt").write_text("".join(f"{user}\n" for user in erased), encoding="utf-8")
        told = {
            "config": config.model_dump(mode="json"),
            "as_of": config.as_of.isoformat(),
            "hot_item_id": lines.hot_item_id(),
            "heavy_user_id": lines.user_ids([users])[0],
            **layout.truth(),
        }
        (partial / TRUTH).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _written(rows: DataFrame, folder: Path, name: str) -> list[Path]:
    """Write one column of text, a file a partition, named by their order."""
    spark_wrote = folder.with_name(f".{name}.parts")
    rows.write.text(str(spark_wrote))
    folder.mkdir()
    files = [folder / f"{name}-{n:05d}.jsonl" for n, _ in enumerate(spark_wrote.glob("part-*.txt"))]
    for part, file in zip(sorted(spark_wrote.glob("part-*.txt")), files, strict=True):
        part.rename(file)
    shutil.rmtree(spark_wrote)
    return files
