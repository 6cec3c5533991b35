"""What gpt-4o-mini wrote for the paper, through our checks, where the sample lies."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published_artefacts import main, personas, selection

SAMPLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "persona4rec_amazon"

pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"the published sample is not at {SAMPLE}")


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


def test_selections_conflict_where_their_own_last_word_is_another() -> None:
    """Each reasoning of the sample ends in the id it means, which the sample's parser never read."""
    found = rows("4_selected_personas.jsonl")
    faults = [selection(row) for row in found]
    assert [bool(fault) for fault in faults] == [not row["selection_reasoning"].endswith("_P1") for row in found]
    assert sum(map(bool, faults)) == 38
    assert {reason for fault in faults for reason, _ in fault} == {"label_conflict"}


def unlike(texts: Sequence[str]) -> np.ndarray:
    """An embedding in which a text is like itself alone, so that only what needs no model is judged."""
    places = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return np.eye(len(places), dtype=np.float32)[[places[text] for text in texts]]


def test_personas_fail_by_their_names_alone() -> None:
    """Each rationale begins "This persona appreciates this item": no instruction, and no reason to refuse all of them."""
    faults = [personas(row, unlike) for row in rows("3_personas.jsonl")]
    assert sum(not fault for fault in faults) == 42
    assert Counter(reason for fault in faults for reason, _ in fault) == {
        "schema: name: Value error, a name has at most 4 words": 7,
        "schema: name: String should have at most 40 characters": 1,
    }


@pytest.mark.slow
def test_every_stage_with_the_packaged_encoder() -> None:
    """24 reviews hold an aspect that none of their sentences supports, such as "Engagement, Emotional Impact"."""
    found = main(SAMPLE)
    assert {stage: (counted["lines"], counted["pass"]) for stage, counted in found.items()} == {
        "aspects": (50, 26),
        "personas": (50, 42),
        "selections": (50, 12),
    }
    assert found["aspects"]["faults"] == {"ungrounded: no sentence supports it": 31}  # of 124 aspects
    assert found["selections"]["faults"] == {"label_conflict": 38}
