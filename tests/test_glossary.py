"""docs/glossary.md: one meaning a word, and no contract speaks in words that were given up."""

import ast
import re
from pathlib import Path

import pytest

from persona_pipeline.contracts import load_contract, table_names

ROOT = Path(__file__).resolve().parents[1]
GIVEN_UP = {
    "orders": "override",
    "tonight": "run",
    "lesson": "training pair",
    "shelf": "items",
    "churn": "change",
    "rival": "baseline",
}
"""Words that tables must not use, and what is said instead."""
GIVEN_UP_NAMES = {
    "asker", "churn", "claims", "foretelling", "lessons", "ledger", "nights", "orders", "pinned", "questions", "rank",
    "remembering", "rivals", "shelf", "shown", "sweep", "trials", "tuning", "verdicts", "withheld", "work",
}  # fmt: skip
"""Words that names of modules had, and that said several things or nothing."""


def terms() -> list[str]:
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    return [line.split("|")[1].strip() for line in lines if line.startswith("| ")][2:]


def test_each_word_once_and_in_order() -> None:
    found = terms()
    assert found == sorted(found)
    assert len(set(found)) == len(found) > 15


@pytest.mark.parametrize("table", table_names())
def test_contracts_use_no_word_that_was_given_up(table: str) -> None:
    contract = load_contract(table)
    texts = [contract.description, *(c.description for c in contract.columns)]
    texts += [field.description for column in contract.columns for field in column.fields]
    words = {word for text in texts for word in re.findall(r"[a-z]+", text.lower())}
    assert not words & GIVEN_UP.keys()


def test_modules_have_no_name_that_was_given_up() -> None:
    names = {path.stem.strip("_") for path in (ROOT / "persona_pipeline").rglob("*.py")}
    assert not names & GIVEN_UP_NAMES


def test_every_module_says_what_it_does() -> None:
    """The first sentence begins with a verb: a word with a capital that is no name and no article."""
    for path in sorted([*(ROOT / "persona_pipeline").rglob("*.py"), *(ROOT / "jobs").glob("*.py")]):
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert told, path
        assert told.split()[0] not in ("A", "An", "The", "What", "How", "Which", "Who", "Where", "When", "Why"), path
