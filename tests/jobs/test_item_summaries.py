"""The job `item_summaries` on the shop: what each item is, told by its metadata."""

from helpers import put, shop
from one_run import kept, opened, without, written

from persona_pipeline.warehouse import Warehouse


def test_an_item_is_what_its_metadata_says(warehouse: Warehouse) -> None:
    run = opened(without(warehouse, "item_summaries"))
    summary = run.do("item_summaries")
    assert (summary["items"], summary["extracted"], summary["refused"]) == (5, 5, 0)
    assert written(summary) == {"quarantine": (0, 0, 0), "item_summaries": (5, 0, 0)}
    found = {row["item_id"]: (row["summary"], row["summary_source"]) for row in kept(warehouse, "item_summaries")}
    assert found["capo"] == ("Spring capo (Music).", "metadata")
    assert found["picks"] == ("Nylon picks, pack of 12 (Music).", "metadata")
    assert found["strings"] == ("", "none")  # it has no title
    assert run.again("item_summaries")["extracted"] == 0


def test_only_what_changed_is_told_anew_and_what_is_gone_goes(warehouse: Warehouse) -> None:
    opened(without(warehouse, "item_summaries")).do("item_summaries")
    capo, _, *others = shop()["items"]
    put(warehouse, "items", [{**capo, "title": "Black capo"}, *others])
    put(warehouse, "item_reviews", [row for row in shop()["item_reviews"] if row["item_id"] != "picks"])
    summary = opened(warehouse).do("item_summaries")
    assert summary["extracted"] == 1
    assert written(summary)["item_summaries"] == (0, 1, 1)
    first, *_ = kept(warehouse, "item_summaries")
    assert (first["item_id"], first["summary"]) == ("capo", "Black capo (Music).")
