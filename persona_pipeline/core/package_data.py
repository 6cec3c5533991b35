"""Where the folders lie that a checkout has at its top level and an installed package inside it."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def package_folder(name: str) -> Path:
    """`schemas`, `expectations` or `dags`."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
