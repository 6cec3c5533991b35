"""Ids survive rewording and reordering, retire on record, and are never given twice."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import arrow, toward
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_pipeline.extract.identity import Row, kept_rows, rows_with_ids
from persona_pipeline.extract.types import Persona, Quote

NIGHTS = [date(2024, 6, day) for day in range(1, 29)]


def embed(texts: Any) -> np.ndarray:
    """Texts are alike when they are equal, and next to nothing alike otherwise."""
    return toward(*texts, dimensions=256)


def persona(name: str, *refs: str, description: str | None = None, start: int = 0) -> Persona:
    quotes = tuple(Quote("review", ref, start, start + 4, "wide") for ref in refs)
    told = description or f"{name} who play at night."
    return Persona("strap", name, told, f"It suits {name}.", quotes, len(refs), 4.5, "embedded", "likes")


def made_from(key: str = "k") -> Row:
    return {"extraction_key": key, "extractor_version": "embedded-1", "extracted_from": ["r1", "r2", "r3"]}


def night(n: int, personas: list[Persona], earlier: list[Row], key: str = "k", threshold: float = 0.5) -> list[Row]:
    return rows_with_ids("strap", personas, earlier, made_from(key), NIGHTS[n], embed, threshold)


def ids(rows: list[Row]) -> dict[str, str]:
    return {row["name"]: row["persona_id"] for row in rows if row["status"] == "current"}


GIGGING, PARENTS = persona("Gigging players", "r1", "r2"), persona("Proud parents", "r3")


def test_new_personas_get_ids_places_and_their_night() -> None:
    rows = night(0, [GIGGING, PARENTS], [], key="key-1")
    assert [(row["position"], row["name"]) for row in rows] == [(1, "Gigging players"), (2, "Proud parents")]
    assert {(row["first_as_of"], row["retired_as_of"], row["extraction_key"]) for row in rows} == {
        (NIGHTS[0], None, "key-1")
    }
    assert len({row["persona_id"] for row in rows}) == 2
    assert rows[0]["evidence"][1] == {"kind": "review", "ref": "r2", "start": 0, "end": 4, "quote": "wide"}
    arrow("item_personas", rows)


def test_the_same_night_again_gives_the_same_ids() -> None:
    assert night(0, [GIGGING, PARENTS], []) == night(0, [GIGGING, PARENTS], [])


def test_ids_survive_reordering() -> None:
    first = night(0, [GIGGING, PARENTS], [])
    second = night(1, [PARENTS, GIGGING], first)
    assert ids(second) == ids(first)
    assert [row["position"] for row in second] == [1, 2]
    assert {row["first_as_of"] for row in second} == {NIGHTS[0]}


def test_ids_survive_rewording_by_their_evidence() -> None:
    first = night(0, [GIGGING, PARENTS], [])
    reworded = persona("Stage musicians", "r2", "r1", description="They stand for hours.")
    second = night(1, [PARENTS, reworded], first)
    assert ids(second)["Stage musicians"] == ids(first)["Gigging players"]
    assert not [row for row in second if row["status"] == "retired"]


def test_ids_survive_new_evidence_by_their_text() -> None:
    first = night(0, [GIGGING, PARENTS], [])
    second = night(1, [persona("Gigging players", "r7", "r8", "r9"), PARENTS], first)
    assert ids(second) == ids(first)


@pytest.mark.parametrize(("shared", "survives"), [(3, True), (2, True), (1, False)])
def test_the_threshold_decides(shared: int, survives: bool) -> None:
    first = night(0, [persona("Old", "r0", "r1", "r2")], [])
    # Jaccard of `shared` in four reviews, or three
    refs = [f"r{n}" for n in range(shared)] + ["r9"] * (shared == 2)
    second = night(1, [persona("New", *refs)], first)
    assert (ids(second)["New"] == ids(first)["Old"]) == survives


def test_the_best_total_is_taken_not_the_first_match() -> None:
    first = night(0, [persona("A", "r1", "r2"), persona("B", "r2", "r3")], [])
    # The first new persona is half like both; only the assignment that leaves A for the second keeps both ids.
    second = night(1, [persona("C", "r2", "r3", "r1"), persona("D", "r1", "r2")], first)
    assert ids(second) == {"C": ids(first)["B"], "D": ids(first)["A"]}


def test_what_no_longer_holds_is_retired_on_record() -> None:
    first = night(0, [GIGGING, PARENTS], [])
    second = night(1, [GIGGING], first)
    (gone,) = [row for row in second if row["status"] == "retired"]
    assert (gone["persona_id"], gone["position"], gone["retired_as_of"]) == (ids(first)["Proud parents"], 0, NIGHTS[1])
    assert gone["evidence"] == first[1]["evidence"]
    third = night(2, [GIGGING], second)
    assert [row for row in third if row["status"] == "retired"] == [gone]  # as it was


def test_a_retired_id_is_never_used_again() -> None:
    first = night(0, [GIGGING, PARENTS], [])
    second = night(1, [GIGGING], first)
    third = night(2, [GIGGING, PARENTS], second)
    assert ids(third)["Proud parents"] not in {row["persona_id"] for row in first}
    assert sorted(row["status"] for row in third) == ["current", "current", "retired"]


def test_even_on_the_same_night() -> None:
    first = night(0, [PARENTS], [])
    retired = [{**first[0], "status": "retired", "position": 0, "retired_as_of": NIGHTS[0]}]
    again = night(0, [PARENTS], retired)
    assert len({row["persona_id"] for row in again}) == 2


def test_an_item_without_personas_retires_all() -> None:
    rows = night(1, [], night(0, [GIGGING, PARENTS], []))
    assert [row["status"] for row in rows] == ["retired", "retired"]


def test_like_personas_of_two_items_differ(tmp_path: Path) -> None:
    one = rows_with_ids("strap", [GIGGING], [], made_from(), NIGHTS[0], embed, 0.5)
    other = rows_with_ids("tuner", [GIGGING], [], made_from(), NIGHTS[0], embed, 0.5)
    assert one[0]["persona_id"] != other[0]["persona_id"]


PERSONAS = st.lists(
    st.builds(
        lambda name, refs: persona(name, *refs),
        st.sampled_from(["Gigging players", "Proud parents", "Home strummers"]),
        st.lists(st.sampled_from(["r1", "r2", "r3", "r4"]), unique=True, max_size=3),
    ),
    max_size=4,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PERSONAS, min_size=1, max_size=6))
def test_over_any_nights_ids_stay_unique_and_no_one_is_lost(nights: list[list[Persona]]) -> None:
    rows: list[Row] = []
    retired: dict[str, Row] = {}
    for n, personas in enumerate(nights):
        before = {row["persona_id"] for row in rows}
        rows = night(n, personas, rows)
        found = [row["persona_id"] for row in rows]
        assert len(set(found)) == len(found)
        assert before <= set(found)
        current = [row for row in rows if row["status"] == "current"]
        assert [row["position"] for row in current] == list(range(1, len(personas) + 1))
        assert not {row["persona_id"] for row in current} & set(retired)
        now_retired = {row["persona_id"]: row for row in rows if row["status"] == "retired"}
        assert {key: now_retired[key] for key in retired} == retired
        retired = now_retired


def test_without_new_personas_those_stay_whose_quotes_still_stand() -> None:
    first = night(
        0, [persona("Gigging players", "r1"), persona("Proud parents", "r2"), persona("Home strummers", "r3")], []
    )
    second = night(1, [persona("Proud parents", "r2"), persona("Home strummers", "r3")], first)
    stands = {row["persona_id"] for row in second if row["name"] != "Proud parents"}
    kept = {row["name"]: row for row in kept_rows(second, stands, NIGHTS[2])}
    assert {name: row["status"] for name, row in kept.items()} == {
        "Gigging players": "retired",
        "Proud parents": "retired",
        "Home strummers": "current",
    }
    assert kept["Home strummers"]["position"] == 1
    assert [kept[name]["retired_as_of"] for name in ("Gigging players", "Proud parents")] == [NIGHTS[1], NIGHTS[2]]
