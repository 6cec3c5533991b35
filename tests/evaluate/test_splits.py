"""Splits by hand, and what must hold for any of them."""

import tempfile
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from helpers import put
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.evaluate.splits import later_interactions, leave_last_out, tuning_day, written_since
from persona_pipeline.warehouse import Warehouse

Interaction = tuple[str, str, int]  # user, item, day of June


def shop(root: Path, interactions: list[Interaction], file: str = "june.jsonl") -> Warehouse:
    """A warehouse with `reviews` alone; ids are user-item, lines as listed."""
    warehouse = Warehouse(root)
    put(warehouse, "reviews", [
        {"review_id": f"{user}-{item}", "user_id": user, "item_id": item, "rating": 5.0, "title": None, "text": "",
         "reviewed_at": datetime(2024, 6, 1, 12, tzinfo=UTC) + timedelta(days=day - 1), "source_file": file,
         "source_line": line}
        for line, (user, item, day) in enumerate(interactions, start=1)
    ])  # fmt: skip
    return warehouse


def events(warehouse: Warehouse, *rows: tuple[str, str, str, float, int]) -> Warehouse:
    """Events beside the reviews: id, user, item, weight, day of June."""
    put(warehouse, "interactions", [
        {"interaction_id": f"event:{name}", "user_id": user, "item_id": item, "kind": "k", "weight": weight,
         "occurred_at": datetime(2024, 6, 1, 12, tzinfo=UTC) + timedelta(days=day - 1), "source_file": "e.jsonl",
         "source_line": line}
        for line, (name, user, item, weight, day) in enumerate(rows, start=1)
    ])  # fmt: skip
    return warehouse


def ids(rows: pa.Table) -> list[str]:
    found: list[str] = rows["interaction_id"].to_pylist()
    return found


def test_leave_last_out_by_hand(tmp_path: Path) -> None:
    split = leave_last_out(
        shop(
            tmp_path,
            [("ana", "a", 3), ("ana", "b", 1), ("ana", "c", 2), ("ben", "a", 5), ("ben", "b", 4), ("cy", "a", 9)],
        )
    )
    assert ids(split.test) == ["ana-a", "ben-a"]  # cy has nothing to learn from
    assert ids(split.validation) == ["ana-c"]  # ben would have nothing left
    assert ids(split.tuning()) == ["ana-a", "ben-a", "ana-c"]
    assert split.test.column_names == split.validation.column_names == ["interaction_id", "user_id", "item_id"]


def test_of_interactions_at_one_time_the_later_line_is_the_last(tmp_path: Path) -> None:
    split = leave_last_out(shop(tmp_path, [("ana", "b", 1), ("ana", "c", 1), ("ana", "a", 1)]))
    assert (ids(split.test), ids(split.validation)) == (["ana-a"], ["ana-c"])


def test_the_last_of_reviews_and_events_is_left_out_with_all_that_would_give_it_away(tmp_path: Path) -> None:
    warehouse = events(
        shop(tmp_path, [("ana", "a", 3), ("ana", "b", 1), ("ben", "a", 2)]),
        ("1", "ana", "a", 1.0, 2),  # bought, then reviewed: the review is withheld, and so is this
        ("2", "ana", "c", 0.2, 2),
        ("3", "ana", "d", -1.0, 9),  # what was sent back is not to be predicted
        ("4", "ben", "b", 1.0, 4),
        ("5", "ben", "b", 0.2, 1),
        ("6", "eve", "a", 1.0, 4),  # alone, and of events alone
        ("7", "fay", "a", 1.0, 4),
        ("8", "fay", "b", 1.0, 5),
    )
    split = leave_last_out(warehouse)
    assert ids(split.test) == ["ana-a", "event:1", "event:4", "event:5", "event:8"]
    assert ids(split.validation) == ["event:2"]
    assert ids(written_since(warehouse, date(2024, 6, 4))) == ["event:3", "event:4", "event:6", "event:7", "event:8"]


def test_what_came_later_counts_once_and_dislikes_are_no_answers(tmp_path: Path) -> None:
    later = events(
        shop(tmp_path / "later", [("ana", "a", 1), ("ana", "b", 5)]),
        ("1", "ana", "b", 1.0, 4), ("2", "ana", "c", -1.0, 6), ("3", "ana", "d", 0.5, 6),
    )  # fmt: skip
    earlier = shop(tmp_path / "earlier", [("ana", "a", 1)])
    assert ids(later_interactions(later, earlier)) == ["ana-b", "event:3"]
    had = events(shop(tmp_path / "had", [("ana", "a", 1)]), ("1", "ana", "b", 1.0, 4))
    assert ids(later_interactions(later, had)) == ["event:3"]


def test_lines_count_as_numbers(tmp_path: Path) -> None:
    split = leave_last_out(shop(tmp_path, [("ana", f"i{n}", 1) for n in range(1, 12)]))
    assert (ids(split.test), ids(split.validation)) == (["ana-i11"], ["ana-i10"])


def test_what_users_did_after_a_day(tmp_path: Path) -> None:
    everything = [("ana", "a", 1), ("ana", "b", 8), ("ana", "c", 9), ("ben", "a", 2), ("new", "a", 8)]
    whole = shop(tmp_path / "all", everything)
    # As of the eighth the night knows ben's older review of b, which one of the ninth replaced since.
    before = shop(tmp_path / "before", [("ana", "a", 1), ("ben", "a", 2), ("ana", "c", 5)])
    assert ids(written_since(whole, date(2024, 6, 8))) == ["ana-b", "ana-c", "new-a"]
    assert ids(later_interactions(whole, before)) == ["ana-b"]  # c she had already, and nobody knew new


def test_a_day_begins_at_midnight_utc(tmp_path: Path) -> None:
    warehouse = shop(tmp_path, [("ana", "a", 8)])  # at noon
    assert ids(written_since(warehouse, date(2024, 6, 8))) == ["ana-a"]
    assert ids(written_since(warehouse, date(2024, 6, 9))) == []


def test_the_day_moves_back_by_the_span_of_the_test(tmp_path: Path) -> None:
    warehouse = shop(tmp_path, [("ana", "a", 1), ("ana", "b", 10)])
    assert tuning_day(warehouse, date(2024, 6, 8)) == date(2024, 6, 5)  # three days: 8, 9 and 10
    with pytest.raises(
        ConfigError,
        match="no review was written and nothing happened on or after that day; the newest is of 2024-06-10",
    ):
        tuning_day(warehouse, date(2024, 6, 11))
    with pytest.raises(ConfigError, match="spans 6 days, and nothing is older than 2024-05-30"):
        tuning_day(warehouse, date(2024, 6, 5))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdef"), st.integers(1, 4)),
        min_size=1,
        max_size=15,
        unique_by=lambda interaction: interaction[:2],
    )
)
def test_every_users_history_is_cut_at_its_end(interactions: list[Interaction]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        split = leave_last_out(shop(Path(folder), interactions))
    of_user = defaultdict(list)
    for _, _, user, item in sorted((day, line, user, item) for line, (user, item, day) in enumerate(interactions)):
        of_user[user].append(f"{user}-{item}")
    test, validation = set(ids(split.test)), set(ids(split.validation))
    assert not test & validation
    for history in of_user.values():
        parts = [[r for r in history if r in part] for part in (test, validation)]
        train = [r for r in history if r not in test | validation]
        assert train + parts[1] + parts[0] == history  # a partition, and nothing kept is later than what is withheld
        assert [len(part) for part in parts] == [int(len(history) > 1), int(len(history) > 2)]
