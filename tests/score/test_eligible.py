"""Nights on which items come and go, users block things and lists are capped, against brute force over what is eligible."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from helpers import put, shop
from ranked_world import ENCODER, ITEMS, USERS, K, World, frames, personas, vector, world

from persona_pipeline.config import UserItemTopkConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.score.contributions import UserSums
from persona_pipeline.score.eligible import EligibleItems, blocked_kinds, require_some
from persona_pipeline.score.item_groups import grouping
from persona_pipeline.score.item_index import exact_scores
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Block = tuple[str, str, str]
CAPS: dict[str, dict[str, int]] = {
    "no caps": {},
    "a category": {"max_per_category": 2},
    "both": {"max_per_category": 2, "category_level": 2, "max_per_creator": 1},
}
MADE: dict[str, tuple[str | None, list[str]]] = {
    item: (None if n % 11 == 5 else f"maker {n % 7}", ["Music", f"kind {n % 4}", f"kind {n % 4}.{n % 3}"][: 3 - n % 2])
    for n, item in enumerate(ITEMS)
}
BLOCKS: list[Block] = [
    ("u02", "item", "i03"), ("u02", "item", "i10"), ("u03", "creator", "maker 3"), ("u04", "category", "kind 1"),
    ("u05", "category", "Music"), ("u06", "creator", "nobody"), ("u06", "item", "i07"), ("u13", "category", "kind 2.0"),
]  # fmt: skip
INTERACTION = pa.struct([("review_id", pa.string()), ("item_id", pa.string()), ("weight", pa.float64())])


class Night:
    """A world, with what may be recommended that night."""

    def __init__(self, told: World, away: set[str], blocks: list[Block], moved: dict[str, list[str]]) -> None:
        self.told, self.away, self.blocks = told, away, blocks
        self.made = {item: (creator, moved.get(item, path)) for item, (creator, path) in MADE.items()}

    def eligible(self) -> EligibleItems:
        everyone = personas(self.told)
        away = pc.is_in(everyone["item_id"], pa.array(sorted(self.away), pa.string()))
        rows = [
            {"item_id": item, "creator": creator, "categories": path}
            for item, (creator, path) in self.made.items()
            if item not in self.away
        ]
        fields = [("item_id", pa.string()), ("creator", pa.string()), ("categories", pa.list_(pa.string()))]
        return EligibleItems(
            everyone.filter(pc.invert(away)), pa.Table.from_pylist(rows, pa.schema(fields)), ("category", "creator")
        )

    def frames(self, spark: "SparkSession") -> tuple["DataFrame", "DataFrame", "DataFrame"]:
        from persona_pipeline.score.recommend import _less_blocked

        users, histories, profiles = frames(spark, self.told)
        blocks = spark.createDataFrame(self.blocks, "user_id string, kind string, value string")
        return users, _less_blocked(histories, blocks), profiles

    def ranking(self, config: UserItemTopkConfig, only: np.ndarray | None = None) -> RankingInputs | None:
        """Of all eligible items, or of some; None where there is none."""
        found = self.eligible()
        rows = found.personas
        if only is not None:
            rows = rows.filter(pc.is_in(rows["item_id"], pa.array(only, pa.string())))
        if not rows.num_rows:
            return None
        return found.ranked_by(RankingInputs.of(ENCODER, rows, K, 2**20, candidates_weight=0.2), config)

    def brute_force(self, config: UserItemTopkConfig) -> dict[tuple[str, int], str]:
        """Each user's list by place: every score in float64, then a walk from the best on by the rules as they are told."""
        ranking = RankingInputs.of(ENCODER, personas(self.told), K, 2**20, candidates_weight=0.2)
        names = ranking.item_index.item_ids.tolist()
        found: dict[tuple[str, int], str] = {}
        for user, met in self.told["met"].items():
            scores = dict(zip(names, _scores(ranking, self.told, user, met).tolist(), strict=True))
            order = sorted(names, key=lambda item: (-round(scores[item], 9), item))
            mine: list[str] = []
            for item in (item for item in order if self.allowed(user, item)):
                if len(mine) < K and self.fits(item, mine, config):
                    mine.append(item)
            found |= {(user, place): item for place, item in enumerate(mine, start=1)}
        return found

    def allowed(self, user: str, item: str) -> bool:
        creator, path = self.made.get(item, (None, []))
        values = {("item", item), ("creator", creator), *(("category", name) for name in path)}
        blocked = any(who == user and (kind, value) in values for who, kind, value in self.blocks)
        only = self.told["only"].get(user)
        return not (blocked or item in self.away or item in self.told["seen"][user] or (only and item not in only))

    def fits(self, item: str, mine: list[str], config: UserItemTopkConfig) -> bool:
        def alike(n: int, value: Any) -> int:
            return sum(self.group(other, config)[n] == value for other in mine)

        return all(
            value is None or not most or alike(n, value) < most
            for n, (value, most) in enumerate(
                zip(self.group(item, config), (config.max_per_creator, config.max_per_category), strict=True)
            )
        )

    def group(self, item: str, config: UserItemTopkConfig) -> tuple[str | None, str | None]:
        creator, path = self.made.get(item, (None, []))
        level = config.category_level
        return creator, None if not path else path[-1] if not level else path[min(level, len(path)) - 1]


def _scores(ranking: RankingInputs, told: World, user: str, met: list[str]) -> np.ndarray:
    weights = 0.5 ** np.arange(len(met))
    profiles = np.stack([vector(item) for item in met])
    weights = weights / np.linalg.norm((profiles * weights[:, None]).sum(0))
    rows = [{"review_id": item, "item_id": item, "weight": w} for item, w in zip(met, weights.tolist(), strict=True)]
    history = UserSums.build(ranking, pa.array(rows, INTERACTION), np.array([len(met)]), profiles)
    ranks = [{"item_id": item, "rank": n} for n, item in enumerate(told["fused"].get(user, []), start=1)]
    struct = pa.struct([("item_id", pa.string()), ("rank", pa.int32())])
    history = history.lifted(ranking.lifts(pa.array([ranks], pa.list_(struct))))
    everything = np.arange(len(ranking.item_index.item_ids))[None]
    exact = exact_scores(ranking.item_index, history.vectors, everything, history.prior, history.scales)
    return np.asarray(exact.scores[0])


def nights() -> list[Night]:
    """Five with a random 30% away each, and two more on which little changes; personas, histories, blocks and groups do, too."""
    draw = np.random.default_rng(16)
    told, blocks, moved = world(), BLOCKS, dict[str, list[str]]()
    found = []
    for number in range(5):
        away = set(draw.choice(ITEMS, 12, replace=False).tolist())
        if number == 2:
            texts = {**told["texts"], "i04": ["i04 said anew"], "i40": ["a newcomer"]}
            told = {**told, "texts": texts}
        if number == 3:
            met = {**told["met"], "u20": ["i01", "i02"]}
            told = {**told, "met": met, "seen": {**told["seen"], "u20": ["i01", "i02"]}}
            blocks = [*BLOCKS[1:], ("u30", "category", "kind 3"), ("u31", "item", "i20")]
        if number == 4:
            moved = {"i08": ["Music", "kind 3"], "i09": []}
        found.append(Night(told, away, blocks, moved))
    few = set(sorted(found[-1].away)[2:])  # two are back
    found.append(Night(told, few, blocks, moved))
    found.append(Night(told, few | {"i21"}, blocks, {**moved, "i22": ["Music", "kind 0"]}))
    return found


def listed(rows: list[Any]) -> dict[tuple[str, int], str]:
    return {(row["user_id"], row["rank"]): row["item_id"] for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("caps", ["no caps", "both"])
def test_lists_are_brute_forces_and_changes_are_everybody(spark: "SparkSession", caps: str) -> None:
    from persona_pipeline.score.incremental import ParentRanking, changed_items, ranked_changes
    from persona_pipeline.score.recommend import ranked_users

    config, order = UserItemTopkConfig.model_validate({"k": K, **CAPS[caps]}), ["user_id", "rank"]
    before: tuple[Night, Any, Any] | None = None
    settled = []
    for night in nights():
        users, histories, profiles = night.frames(spark)
        ranking = night.ranking(config)
        assert ranking is not None
        assert ranking.capped == (caps != "no caps")
        whole = ranked_users(users, histories, profiles, ranking).persist()
        expected = whole.orderBy(order).collect()
        assert listed(expected) == night.brute_force(config)
        if before is not None:
            then, rows, (users_then, histories_then, _) = before
            changed = changed_items(night.eligible().telling(config), then.eligible().telling(config))
            parent = ParentRanking(rows, users_then, histories_then, changed)
            found, figures = ranked_changes(users, histories, profiles, ranking, parent, night.ranking(config, changed))
            assert found.orderBy(order).collect() == whole.select(found.columns).orderBy(order).collect()
            assert figures["changed_items"] == len(changed) > 0
            settled.append(len(USERS) - figures["changed_users"] - figures["doubtful_users"])
        before = night, whole, (users, histories, profiles)
    # A third of the shop comes and goes, and nearly everybody is ranked in full; two items, and most are not.
    assert settled[-2] > len(USERS) / 3
    assert all(settled[n] < settled[-2] for n in range(4))


def test_a_night_without_rules_is_ranked_otherwise() -> None:
    """The rules of these nights bite: brute force without them gives nearly everybody another list."""
    night, config = nights()[0], UserItemTopkConfig(k=K, max_per_category=2)
    free = Night(night.told, set(), [], {}).brute_force(UserItemTopkConfig(k=K))
    ruled = night.brute_force(config)
    assert sum(free.get(place) != item for place, item in ruled.items()) > len(ruled) / 2
    assert night.brute_force(UserItemTopkConfig(k=K)) != ruled


@pytest.mark.parametrize("caps", ["a category", "both"])
def test_caps_hold_over_blocks_of_the_item_index(spark: "SparkSession", caps: str) -> None:
    from persona_pipeline.score.recommend import ranked_users

    config = UserItemTopkConfig.model_validate({"k": K, **CAPS[caps]})
    night = nights()[1]
    ranking = night.ranking(config)
    assert ranking is not None
    blocks = replace(ranking, shelf_bytes=1_500)
    assert len(ranking.item_index.spans(1_500)) > 1
    inputs = night.frames(spark)
    whole, blocked = (ranked_users(*inputs, r).orderBy("user_id", "rank") for r in (ranking, blocks))
    assert blocked.select(whole.columns).collect() == whole.collect()


def test_only_what_is_available_is_loaded_and_groups_where_somebody_asks(tmp_path: Path) -> None:
    warehouse, tables = Warehouse(tmp_path), shop()
    items = tables["items"]
    items[0] |= {"available": False, "unavailable_reason": "delisted"}
    for table in ("items", "persona_vectors", "blocks"):
        put(warehouse, table, tables[table])
    config = UserItemTopkConfig()
    assert blocked_kinds(warehouse) == ("creator",)
    found = EligibleItems.of(warehouse, "enc1", config, ())
    assert set(found.personas["item_id"].to_pylist()) == {"picks", "strap", "strings", "tuner"}
    assert found.items is None
    assert "groups" not in found.telling(config).column_names
    asked = EligibleItems.of(warehouse, "enc1", config, ("creator",))
    assert asked.items is not None
    assert asked.items.num_rows == 4
    assert "groups" in asked.telling(config).column_names
    require_some(found, "enc1")
    with pytest.raises(PipelineError, match="no item with a persona by encoder enc2 may be recommended tonight"):
        require_some(EligibleItems.of(warehouse, "enc2", config, ()), "enc2")


def test_groups_are_told_in_the_same_words_whatever_the_order_of_the_rows() -> None:
    rows = [
        {"item_id": i, "creator": c, "categories": k}
        for i, c, k in (("a", "X", ["Q", "P"]), ("b", "Y", ["P", "R"]), ("c", "Y", ["Q"]))
    ]
    schema = pa.schema([("item_id", pa.string()), ("creator", pa.string()), ("categories", pa.list_(pa.string()))])
    told = [
        dict(
            zip(
                *grouping(pa.Table.from_pylist(part, schema), UserItemTopkConfig(), ("category", "creator"))
                .to_pydict()
                .values(),
                strict=True,
            )
        )
        for part in (rows, rows[::-1], rows[1:])
    ]
    assert told[0] == told[1]
    assert {name: told[0][name] for name in told[2]} == told[2]
