"""Files that no source would hand out: nothing escapes but a refusal, and every record is accounted for."""

from pathlib import Path
from typing import Any

import pytest
from _hostile_records import REASONS, Case, cases, judge, listed_reasons
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_pipeline.sources import parsing
from persona_pipeline.sources.adapters import ADAPTERS, InputKind

PAIRS: list[tuple[str, InputKind]] = [
    *((source, "reviews") for source in sorted(ADAPTERS)), *((source, "items") for source in sorted(ADAPTERS))
]  # fmt: skip
GOOD = b'{"user_id": "u1", "item_id": "i1", "rating": 5, "timestamp": 1718000000}\n'


@settings(max_examples=400, suppress_health_check=list(HealthCheck), database=None)
@given(st.sampled_from(PAIRS).flatmap(lambda pair: cases(*pair)))
def test_every_record_of_a_hostile_file_is_a_row_or_a_refusal(tmp_path: Path, case: Case) -> None:
    judge(case, tmp_path)


def test_every_reason_is_one_that_the_contract_lists() -> None:
    assert listed_reasons() >= REASONS


def test_the_judge_counts(tmp_path: Path) -> None:
    assert judge(Case("jsonl", "reviews", GOOD + b"{broken\n", 2), tmp_path) == (1, 1)
    with pytest.raises(AssertionError, match="3 records written"):
        judge(Case("jsonl", "reviews", GOOD, 3), tmp_path)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("identity", lambda text: ""),
        ("clean_text", lambda text, limit, mask: "x" * (limit + 1)),
    ],
)
def test_the_judge_sees_a_row_that_is_not_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, broken: Any
) -> None:
    case = Case("jsonl", "reviews", GOOD.replace(b"}", b', "text": "a"}'), 1)
    assert judge(case, tmp_path) == (1, 0)
    monkeypatch.setattr(parsing, name, broken)
    with pytest.raises(AssertionError):
        judge(case, tmp_path)
