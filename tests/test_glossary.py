"""docs/glossary.md: one meaning a word, and no contract speaks in words that were given up."""

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
