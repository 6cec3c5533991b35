"""Find every Delta table of a warehouse that may hold a person's data, and everything that lies beside the tables."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from persona_pipeline.contracts import Contract, load_contract, table_names
from persona_pipeline.embeddings.model_names import BASES
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse._earlier import with_earlier_columns
from persona_pipeline.warehouse.erasures import PENDING
from persona_pipeline.warehouse.history import is_whole

_LOG = "_delta_log"
_PARTIAL = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)")


@dataclass(frozen=True)
class Place:
    """A Delta table: as it is told, where it really lies, and its contract, which names columns of earlier versions too.

    The contract is None for a table that this version does not know.
    """

    told: str
    folder: Path
    contract: Contract | None


def tables(root: Path) -> list[Place]:
    """Every table under a warehouse: staged ones, those of backtests within it, and caches that are another warehouse's.

    A cache is followed through a link in its place, and where `extraction.llm.ledger` of any run on record names a warehouse.
    """
    found = {folder.resolve(): str(folder.relative_to(root)) for folder in _folders(root) if (folder / _LOG).is_dir()}
    for other in _ledgers(root):
        for name in table_names("cache"):
            if ((folder := other / name) / _LOG).is_dir():
                found.setdefault(folder.resolve(), str(folder))
    known = set(table_names())
    return [
        Place(told, folder, with_earlier_columns(load_contract(folder.name)) if folder.name in known else None)
        for folder, told in sorted(found.items(), key=lambda entry: entry[1])
    ]


def staged_responses(root: Path) -> list[Path]:
    """Responses of an LLM that no table has yet, of this warehouse and of those its runs used."""
    return [path for place in (root, *_ledgers(root)) for path in sorted((place / "_llm_calls").glob("*.parquet"))]


def loose_files(root: Path) -> list[Path]:
    """Every file under a warehouse that belongs to no table and is not the erasure's own."""
    inside = [place.folder for place in tables(root)]
    found = []
    for folder, names, files in os.walk(root):
        here = Path(folder)
        names[:] = sorted(
            name for name in names if not (here == root and name == PENDING) and (here / name).resolve() not in inside
        )
        found += [here / name for name in sorted(files)]
    staged = {path for path in staged_responses(root) if is_whole(path)}
    return [path for path in found if path not in staged and path.is_file() and not path.is_symlink()]


def unfinished(root: Path) -> list[Path]:
    """What processes that have died were writing when they did: it would have been put in its place whole, or gone on with.

    By `core.atomic` a file or folder with the number of the process, beside what it was to be; and all that a training of a base
    left beside the base: it holds texts of reviews.
    """
    found = []
    for folder, names, files in os.walk(root):
        here = Path(folder)
        left = {name for name in (*names, *files) if _is_unfinished(here.relative_to(root), here / name)}
        found += [here / name for name in sorted(left)]
        names[:] = sorted({*names} - left)
    return found


def _is_unfinished(within: Path, path: Path) -> bool:
    if within.parts[-2:] == BASES.parts:
        return path.name.startswith(".") and path.suffix != ".lock"
    named = _PARTIAL.fullmatch(path.name)
    if not named or Path(f"/proc/{named['pid']}").exists():
        return False
    # Somebody else's may be called alike: a copy of something, by its date.
    whole = path.with_name(named["name"])
    ours = whole.suffix in (".parquet", ".json") or any(part.startswith("_") for part in (*within.parts, whole.name))
    return ours or whole.exists()


def _folders(root: Path) -> Iterator[Path]:
    for folder, names, _ in os.walk(root):
        here = Path(folder)
        names[:] = [name for name in names if name not in (_LOG, PENDING)]
        yield from (here / name for name in names)


def _ledgers(root: Path) -> list[Path]:
    """Warehouses whose answers of an LLM the runs of this one used and added to."""
    configs = set(Warehouse(root).read("runs", ["config"])["config"].to_pylist())
    named = {json.loads(config).get("extraction", {}).get("llm", {}).get("ledger") for config in configs}
    return sorted(path for one in named if one and (path := Path(one).resolve()) != root.resolve() and path.is_dir())
