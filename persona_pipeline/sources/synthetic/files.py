"""Write and read a synthetic world's files: `reviews.jsonl.gz` and `items.jsonl.gz` in canonical form, and `truth/`.

Same world, same bytes: keys keep their order, gzip carries neither a time nor a name.
"""

import gzip
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.synthetic.world import Row, SyntheticWorld

TRUTH = "truth"
CONFIG = "config.json"


def write(world: SyntheticWorld, folder: Path | str) -> None:
    """Write all files at once: a reader finds the whole world or what was there before.

    Replaces an empty folder or an earlier world. Raises SourceError where anything else is in the way.
    """
    folder = Path(folder)
    if folder.exists() and not _replaceable(folder):
        raise SourceError(
            f"{folder}: exists and is not a synthetic world ({TRUTH}/{CONFIG} is missing); choose another folder"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.parent / f".{folder.name}.{os.getpid()}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        _write_into(world, fresh)
        if folder.exists():
            old = folder.parent / f".{folder.name}.{os.getpid()}.old"
            folder.rename(old)
            fresh.rename(folder)
            shutil.rmtree(old)
        else:
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a JSON lines file, gzip or plain. Raises SourceError if there is no such file."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file; is this the folder of a synthetic world?") from error


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / TRUTH / CONFIG).is_file() or not any(folder.iterdir()))


def _write_into(world: SyntheticWorld, folder: Path) -> None:
    truth = folder / TRUTH
    truth.mkdir(parents=True)
    for name, rows in (("reviews", world.review_rows()), ("items", world.item_rows())):
        with (
            (folder / f"{name}.jsonl.gz").open("wb") as raw,
            # The empty name and time 0 keep the header free of anything but the format.
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        ):
            packed.writelines(_line(row).encode() for row in rows)
    for name, rows in (
        ("personas", world.true_persona_rows()),
        ("items", world.true_item_rows()),
        ("users", world.true_user_rows()),
        ("reviews", world.true_review_rows()),
    ):
        with (truth / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n") as out:
            _write_lines(out, rows)
    (truth / CONFIG).write_text(json.dumps(world.config.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")


def _write_lines(out: TextIO, rows: Iterable[Row]) -> None:
    out.writelines(map(_line, rows))


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
