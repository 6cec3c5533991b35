"""Docs name files and modules that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FOLDERS = "persona_pipeline|jobs|dags|tests|benchmarks|schemas|expectations|docs|tools"
ROOMS = "|".join(sorted(path.name for path in (ROOT / "persona_pipeline").iterdir() if path.is_dir()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]*\w)`", text)
    named += [f"persona_pipeline/{path}" for path in re.findall(rf"`((?:{ROOMS})/[\w./-]+\.\w+)`", text)]
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_exist(page: Path) -> None:
    """As they are imported, or run with `python -m`."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"from (persona_pipeline[.\w]+) import|-m (persona_pipeline[.\w]+|jobs\.\w+)", text)
    for module in {one or other for one, other in named}:
        path = ROOT / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), module
