"""Hash the inputs of runs and artefacts: `reviews`, files, the code of a run, the code of baselines."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from persona_pipeline.core.package_data import package_folder
from persona_pipeline.warehouse import Warehouse

LIBRARY = Path(__file__).resolve().parents[1]

_CODE = (".py", ".jinja2", ".yaml", ".json")
_JUDGING = (
    "backtest",
    "report",
)  # look at nights; no first night, such as a backtest has, follows from them


def reviews_digest(warehouse: Warehouse) -> str:
    """sha256, in hexadecimal, over the sorted ids of the newest `reviews` and `interactions`, joined by newlines.

    An encoder's artefact carries the digest of the reviews and events it was trained from, so that an evaluation can
    tell whether they were those it was allowed to see.
    """
    sql = "SELECT review_id AS id FROM reviews UNION ALL SELECT interaction_id FROM interactions"
    found = warehouse.query(sql, ["reviews", "interactions"])["id"].to_pylist()
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def files_digest(paths: Iterable[Path]) -> str:
    """sha256, in hexadecimal, over names and contents of files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            digest.update(f"{path.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def run_code() -> str:
    """Hash of the code of a night: jobs, contracts, and the library with its prompts, packs and profiles."""
    left_out = [LIBRARY / name for name in (*_JUDGING, "expectations", "dags")]
    return _code_digest(
        path
        for folder in sorted({LIBRARY, LIBRARY.parent / "jobs", package_folder("schemas")})
        for path in folder.rglob("*")
        if not any(path.is_relative_to(other) for other in left_out)
    )


def baselines_code() -> str:
    """Hash of the code that tunes and fits baselines."""
    return _code_digest(path for name in ("collaborative", "evaluate") for path in (LIBRARY / name).rglob("*"))


def _code_digest(paths: Iterable[Path]) -> str:
    return files_digest(sorted(path for path in paths if path.suffix in _CODE))
