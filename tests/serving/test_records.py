from dataclasses import asdict
from datetime import date

import pyarrow as pa
from helpers import arrow, shop

from persona_pipeline.serving.records import Contribution, Span, recommendations


def test_rows_become_dataclasses_by_rank() -> None:
    rows = [row for row in shop()["user_item_topk"] if row["user_id"] == "ana"]
    rows[0]["contributions"] = []
    table = arrow("user_item_topk", rows[::-1]).drop_columns(["user_id", "user_bucket"])
    first, second = recommendations(table)
    assert (first.rank, first.item_id, first.contributions) == (1, "capo", ())
    assert second.contributions[1] == Contribution("popularity", None, None, 0.2)
    assert second.evidence == (Span(**rows[1]["evidence"][0]),)
    assert asdict(second)["evidence"] == (rows[1]["evidence"][0],)
    assert second.changed_as_of == date(2024, 6, 30)


def test_a_slice_of_a_table_keeps_its_own_lists() -> None:
    rows = shop()["user_item_topk"]
    table = arrow("user_item_topk", rows).drop_columns(["user_id", "user_bucket"])
    alone = recommendations(table.slice(3, 1))[0]
    assert alone.item_id == rows[3]["item_id"]
    assert alone.evidence[0].quote == rows[3]["evidence"][0]["quote"]


def test_no_rows() -> None:
    table = arrow("default_topk", [])
    assert recommendations(table, "unknown_user") == []
    assert isinstance(table, pa.Table)
