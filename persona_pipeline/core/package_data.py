"""Locate data folders that lie at the top level of a checkout and inside an installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def package_folder(name: str) -> Path:
    """Path of the folder `schemas`, `expectations` or `dags`."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
