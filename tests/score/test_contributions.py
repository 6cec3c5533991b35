"""A batch of users to ranked rows: contributions add up, ties go by item, and batches do not matter."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from guitar_shop import ITEMS, PERSONAS, PRIOR_ITEMS, SIMILARITIES, USERS, D, make_ranking, make_user
from helpers import Row, toward
from scipy.sparse import csr_array

from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.score import contributions
from persona_pipeline.score.contributions import rank_users
from persona_pipeline.score.item_index import ItemIndex, TopItems
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.score.topk.kernel import top_items


def people(ranking: RankingInputs) -> pa.Table:
    rows = [
        make_user(ranking, "ana", "strap", "tuner", "strings"),
        make_user(ranking, "ben", "picks"),
        make_user(ranking, "cleo", *ITEMS),
        make_user(ranking, "dan", "capo", "slide", "strap", "picks"),
    ]
    return pa.Table.from_pylist(rows, schema=USERS)


def prior_by_hand(ranking: RankingInputs, interactions: list[Row], item: str) -> float:
    """Weighted mean of similarities to the item; an item the prior does not know has none."""
    known = {(a, b): SIMILARITIES.toarray()[n, m] for n, a in enumerate(PRIOR_ITEMS) for m, b in enumerate(PRIOR_ITEMS)}
    total = sum(i["weight"] for i in interactions)
    mean = sum(i["weight"] / total * known.get((i["item_id"], item), 0.0) for i in interactions)
    return ranking.encoder.config.temperature * ranking.encoder.config.prior_weight * float(mean)


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
def test_scores_are_the_sum_of_their_contributions(aggregation: str) -> None:
    ranking = make_ranking(aggregation)
    users = people(ranking)
    vectors = {
        row["user_id"]: sum(
            i["weight"] * ranking.encoder.encode_interactions(np.array([i["vector"]], np.float32))[0]
            for i in row["interactions"]
        )
        for row in users.to_pylist()
    }
    histories = {row["user_id"]: row["interactions"] for row in users.to_pylist()}
    rows = rank_users(ranking, users).to_pylist()
    assert len(rows) == 3 + 4 + 0 + 2
    for row in rows:
        shares = [c["share"] for c in row["contributions"]]
        assert row["score"] == round(sum(shares), 9)
        item = ITEMS.index(row["item_id"])
        similar = (
            ranking.item_index.vectors[ranking.item_index.slots[item][ranking.item_index.filled[item]]]
            @ vectors[row["user_id"]]
        )
        expected = similar.max()
        if aggregation == "softmax":
            expected = 0.1 * (np.log(np.exp(similar / 0.1).sum()) - np.log(len(similar)))
        of_prior = prior_by_hand(ranking, histories[row["user_id"]], row["item_id"])
        short = 1 + ranking.encoder.config.popularity_support / len(histories[row["user_id"]])
        exact = expected + short * ranking.item_index.popularity[item] + of_prior
        assert abs(row["score"] - exact) < 1e-8
        of_interactions = sum(c["share"] for c in row["contributions"] if c["kind"] == "interaction")
        assert abs(of_interactions - similar.max()) < 1e-8
        assert [c["share"] for c in row["contributions"] if c["kind"] == "prior"] == (
            [round(of_prior, 9)] if of_prior else []
        )
        assert row["persona_id"] == f"{row['item_id']}-{similar.argmax()}"


def test_only_candidates_are_ranked_with_the_scores_they_have_anyway() -> None:
    ranking = make_ranking(k=3)
    users = people(ranking)
    free = {
        (row["user_id"], row["item_id"]): row["score"] for row in rank_users(replace(ranking, k=9), users).to_pylist()
    }
    lists = [
        ["tuner", "picks", "slide"],
        None,
        ["capo"],
        ["drum"],
    ]  # ana met the tuner, cleo everything; nobody sells drums
    limited = users.append_column("candidate_item_ids", pa.array(lists, pa.list_(pa.string())))
    rows = rank_users(ranking, limited).to_pylist()
    found = {user: [row["item_id"] for row in rows if row["user_id"] == user] for user in ("ana", "ben", "cleo", "dan")}
    assert set(found["ana"]) == {"picks", "slide"}
    assert found["ben"] == [row["item_id"] for row in rank_users(ranking, users).to_pylist() if row["user_id"] == "ben"]
    assert (found["cleo"], found["dan"]) == ([], [])
    assert all(row["score"] == free[row["user_id"], row["item_id"]] for row in rows)


def test_what_another_recommender_lists_is_lifted_by_its_place() -> None:
    ranking = make_ranking(k=9)
    users = people(ranking)
    places = [
        [{"item_id": "capo", "rank": 1}, {"item_id": "drum", "rank": 2}, {"item_id": "picks", "rank": 3}],
        None,
        [],
        [{"item_id": "tuner", "rank": 40}],
    ]  # nobody sells drums
    kind = pa.list_(pa.struct([("item_id", pa.string()), ("rank", pa.int32())]))
    fused = replace(ranking, candidates_weight=0.25)
    rows = rank_users(fused, users.append_column("candidate_ranks", pa.array(places, kind))).to_pylist()
    plain = {(row["user_id"], row["item_id"]): row for row in rank_users(ranking, users).to_pylist()}
    lifts = {("ana", "capo"): 0.25, ("ana", "picks"): 0.25 * 61 / 63, ("dan", "tuner"): 0.25 * 61 / 100}
    assert {(row["user_id"], row["item_id"]) for row in rows} == set(plain)
    for row in rows:
        where = row["user_id"], row["item_id"]
        assert row["score"] == pytest.approx(plain[where]["score"] + lifts.get(where, 0.0), abs=2e-9)
        assert row["score"] == round(sum(c["share"] for c in row["contributions"]), 9)
        shares = {c["kind"]: c["share"] for c in row["contributions"] if c["kind"] != "interaction"}
        assert shares.pop("candidates", 0.0) == pytest.approx(lifts.get(where, 0.0), abs=1e-9)
        plainly = {c["kind"]: c["share"] for c in plain[where]["contributions"] if c["kind"] != "interaction"}
        assert shares == pytest.approx(plainly, abs=2e-9)
    firsts = [next(row["item_id"] for row in found if row["user_id"] == "ana") for found in (rows, plain.values())]
    assert firsts == ["capo", "slide"]


def test_contributions_say_where_they_come_from() -> None:
    ranking = make_ranking()
    rows = [row for row in rank_users(ranking, people(ranking)).to_pylist() if row["user_id"] == "ana"]
    for row in rows:
        parts = row["contributions"]
        assert [c["share"] for c in parts] == sorted((c["share"] for c in parts), reverse=True)
        interactions = {(c["review_id"], c["item_id"]) for c in parts if c["kind"] == "interaction"}
        assert interactions == {(f"ana-{item}", item) for item in ("strap", "tuner", "strings")}
        others = [c for c in parts if c["kind"] != "interaction"]
        assert all(c["review_id"] is None and c["item_id"] is None for c in others)
        kinds = {c["kind"] for c in others}
        mine = make_user(ranking, "ana", "strap", "tuner", "strings")["interactions"]
        assert ("prior" in kinds) == (prior_by_hand(ranking, mine, row["item_id"]) > 0)
        assert ("popularity" in kinds) == (row["item_id"] in ranking.encoder.liked_counts)
        assert ("other_personas" in kinds) == (len([p for p in PERSONAS if p.startswith(f"{row['item_id']}-")]) > 1)


def test_ranks_run_from_one_and_leave_out_what_was_reviewed() -> None:
    ranking = make_ranking()
    rows = rank_users(ranking, people(ranking)).to_pylist()
    lists: dict[str, list[Row]] = {}
    for row in rows:
        lists.setdefault(row["user_id"], []).append(row)
    assert set(lists) == {"ana", "ben", "dan"}  # cleo has reviewed everything
    for user, mine in lists.items():
        assert [row["rank"] for row in mine] == list(range(1, len(mine) + 1))
        assert [row["score"] for row in mine] == sorted((row["score"] for row in mine), reverse=True)
        reviewed = next(r for r in people(ranking).to_pylist() if r["user_id"] == user)["reviewed_item_ids"]
        assert not {row["item_id"] for row in mine} & set(reviewed)


def test_ties_go_by_item_id() -> None:
    ranking = make_ranking(k=6)
    same = np.tile(toward("any", dimensions=D), (len(ITEMS), 1))
    item_index = ItemIndex.build(np.array(ITEMS), same, dict.fromkeys(ITEMS, 0.0), 0.1, "softmax")
    tied = replace(ranking, item_index=item_index, persona_ids=np.array(ITEMS), prior=csr_array(ranking.prior.shape))
    rows = rank_users(tied, people(ranking).slice(1, 1)).to_pylist()
    assert [row["item_id"] for row in rows] == [item for item in ITEMS if item != "picks"]
    assert len({row["score"] for row in rows}) == 1


def test_device_and_precision_of_the_configuration_reach_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[str, str]] = []

    def noting(*arguments: Any, **options: Any) -> TopItems:
        used.append((options.pop("device"), options["precision"]))
        return top_items(*arguments, **options)

    monkeypatch.setattr(contributions, "top_items", noting)
    ranking = make_ranking()
    rows = rank_users(replace(ranking, device="cuda", precision="float32"), people(ranking))
    assert used == [("cuda", "float32")]
    monkeypatch.undo()
    assert rank_users(ranking, people(ranking)).equals(rows)  # what the processor is fastest with gives the same


def test_batches_do_not_matter() -> None:
    ranking = make_ranking()
    users = people(ranking)
    whole = rank_users(ranking, users)
    for cut in (1, 2, 3):
        parts = [rank_users(ranking, users.slice(0, cut)), rank_users(ranking, users.slice(cut))]
        assert pa.concat_tables(parts).equals(whole)
    bounded = rank_users(replace(ranking, block_bytes=1), users)
    assert bounded.equals(whole)


@pytest.mark.parametrize("shelf_bytes", [1, 5 * D * 4])
def test_blocks_of_items_hold_what_the_whole_ranks(shelf_bytes: int) -> None:
    """What Spark merges: the best by `exact_score` of all blocks, in the order of `score`."""
    ranking = make_ranking(k=3)
    whole = rank_users(ranking, people(ranking)).to_pylist()
    blocks = list(replace(ranking, shelf_bytes=shelf_bytes).blocks())
    assert len(blocks) > 2
    rows = [row for block in blocks for row in rank_users(block, people(ranking)).to_pylist()]
    merged = []
    for user in ("ana", "ben", "dan"):
        mine = sorted(
            (row for row in rows if row["user_id"] == user), key=lambda row: (-row["exact_score"], row["item_id"])
        )
        chosen = sorted(mine[:3], key=lambda row: (-row["score"], row["item_id"]))
        merged += [{**row, "rank": place} for place, row in enumerate(chosen, start=1)]
    assert merged == whole


def test_order_of_a_users_interactions_does_not_matter_to_the_score() -> None:
    ranking = make_ranking()
    user = people(ranking).to_pylist()[0]
    turned = {**user, "interactions": user["interactions"][::-1]}
    before, after = (rank_users(ranking, pa.Table.from_pylist([row], schema=USERS)) for row in (user, turned))
    assert before.select(["item_id", "rank", "persona_id"]).equals(after.select(["item_id", "rank", "persona_id"]))
    np.testing.assert_allclose(before["score"].to_numpy(), after["score"].to_numpy(), atol=1e-8)


def test_the_prior_moves_ranks_and_without_weight_adds_nothing() -> None:
    with_it, without = (
        rank_users(ranking, people(ranking)).to_pylist() for ranking in (make_ranking(), make_ranking(prior_weight=0.0))
    )
    assert {c["kind"] for row in with_it for c in row["contributions"]} == {
        "interaction", "other_personas", "popularity", "prior",
    }  # fmt: skip
    assert "prior" not in {c["kind"] for row in without for c in row["contributions"]}
    assert [row["item_id"] for row in with_it] != [row["item_id"] for row in without]


def test_a_user_who_met_nothing_the_prior_knows_is_ranked_without_it() -> None:
    ranking = make_ranking()
    stranger = pa.Table.from_pylist([make_user(ranking, "eve", "strings", "harp")], schema=USERS)
    rows = rank_users(ranking, stranger).to_pylist()
    assert len(rows) == 4
    assert "prior" not in {c["kind"] for row in rows for c in row["contributions"]}
    bare = replace(ranking, encoder=replace(ranking.encoder, prior=Prior.none()), prior=csr_array((0, len(ITEMS))))
    assert rank_users(bare, stranger).to_pylist() == rows


def test_fewer_items_than_places() -> None:
    ranking = make_ranking(k=50)
    rows = rank_users(ranking, people(ranking)).to_pylist()
    assert sum(row["user_id"] == "ben" for row in rows) == len(ITEMS) - 1
