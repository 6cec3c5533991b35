"""Make the lines of a large synthetic input as DataFrames of one column of JSON, from line numbers alone (Spark).

A line is a function of its number and the seed: no shuffle, no state, no row in Python, and the same bytes on any
number of cores.
"""

from datetime import UTC, datetime, time
from functools import reduce
from operator import add

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from persona_pipeline.sources.synthetic.large.config import BLOCK
from persona_pipeline.sources.synthetic.large.layout import (
    EVENT_GROUP,
    HOT_EVERY,
    KINDS,
    LATER_COPIED,
    LATER_EDITED,
    LATER_GROUP,
    ORIGINS,
    OWN_PAIR,
    PLACES,
    STRIDE,
    Layout,
    event_kind,
)
from persona_pipeline.sources.synthetic.large.texts import Draws, Texts

_DAY = 86_400
_LATEST = 31 * _DAY
"""Before the end of the window, for edits of up to thirty days later."""
_USERS, _ITEMS, _ROWS, _HOT, _HEAVY, _ORIGINS, _LATER = range(7)  # permutations


class Lines:
    """The lines of one configuration."""

    def __init__(self, spark: SparkSession, layout: Layout) -> None:
        self._spark = spark
        self._layout = layout
        self._draws = Draws(layout.config.seed)
        self._texts = Texts(self._draws)
        self._start = int(datetime.combine(layout.config.start, time(), UTC).timestamp())
        self._end = self._start + layout.config.days * _DAY

    def reviews(self, partitions: int) -> DataFrame:
        """All reviews but the increment, column `value`, in the order of their numbers."""
        layout = self._layout
        number, block = F.col("id"), F.col("block")
        slot, tail = number % BLOCK, number >= layout.blocks * BLOCK
        place = F.when(tail, KINDS["plain"][0]).otherwise((slot - _div(slot, HOT_EVERY) - 1) * STRIDE % PLACES)
        of_hot = ~tail & (slot % HOT_EVERY == 0)
        kind = F.when(of_hot, "hot")
        for name, (first, last) in KINDS.items():
            kind = kind.when((place >= first) & (place < last), name)
        rows = self._spark.range(0, layout.config.n_reviews, 1, partitions).select(
            "id", _div(number, BLOCK).alias("block"), place.alias("place"), kind.alias("kind"), tail.alias("tail")
        )
        origin_block = F.when(F.col("kind") == "duplicate_id", _div(block, 2)).otherwise(
            self._spread(block, layout.blocks, _ORIGINS)
        )
        origin_place = F.lit(None).cast("long")
        for name, first in ORIGINS.items():
            origin_place = F.when(F.col("kind") == name, F.col("place") - KINDS[name][0] + first).otherwise(
                origin_place
            )
        rows = rows.withColumns({"origin_block": origin_block, "origin_place": origin_place})
        has_origin = F.col("origin_place").isNotNull()
        origin = F.when(has_origin, _line(F.col("origin_block"), F.col("origin_place"))).otherwise(number)
        origin_row = self._row(F.col("origin_block"), F.col("origin_place"))
        row = (
            # The id of a review by somebody else: the author of the row after it.
            F.when(F.col("kind") == "duplicate_id", (origin_row + 1) % layout.rows)
            .when(has_origin, origin_row)
            .when(F.col("tail"), layout.blocks * layout.rows_a_block + number % BLOCK)
            .when(F.col("kind").isin(*OWN_PAIR), self._row(block, F.col("place")))
            .otherwise(self._draws.whole(number, "any row") % layout.rows)
        )
        return self._written(self._with_pairs(rows.withColumns({"origin": origin, "row": row})))

    def increment(self) -> DataFrame:
        """Lines of the next night: new reviews, some edits and some lines that were there already."""
        layout = self._layout
        group, place = _div(F.col("later"), LATER_GROUP), F.col("later") % LATER_GROUP
        kind = F.when(place == 0, "edit_of_pair").when(place == 1, "copy").otherwise("later")
        origin_place = F.when(place == 0, LATER_EDITED).when(place == 1, LATER_COPIED)
        rows = self._spark.range(0, layout.later_lines, 1, 1).select(
            (F.col("id") + layout.config.n_reviews).alias("id"), F.col("id").alias("later")
        )
        origin_block = self._spread(group, layout.blocks, _ORIGINS)
        origin = F.coalesce(_line(origin_block, origin_place), F.col("id"))
        rows = rows.select(
            "id",
            kind.alias("kind"),
            F.coalesce(origin_place, F.lit(KINDS["plain"][0])).cast("long").alias("place"),
            origin.alias("origin"),
            self._row(origin_block, origin_place).alias("row"),
            self._spread(F.col("later"), layout.ordinary_users, _LATER).alias("newcomer"),
        )
        return self._written(self._with_pairs(rows, of_user=F.col("newcomer")))

    def items(self) -> DataFrame:
        """The catalogue: every item but the delisted."""
        number = F.col("id")
        brands, nouns = F.array(*map(F.lit, _BRANDS)), F.array(*map(F.lit, _NOUNS))
        noun = self._draws.one_of(nouns, len(_NOUNS), number, "noun")
        brand = self._draws.one_of(brands, len(_BRANDS), number, "brand")
        delisted = (number < self._layout.live_items) & (number % 100 == 99)
        record = F.struct(
            _item_id(number).alias("item_id"),
            F.concat_ws(" ", brand, noun, F.concat(F.lit("X"), number % 1_000)).alias("title"),
            brand.alias("creator"),
            F.array(F.lit("Home"), noun).alias("categories"),
            self._texts.product(number).alias("description"),
        )
        return self._spark.range(0, self._layout.config.n_items, 1, 1).where(~delisted).select(_json(record))

    def events(self, partitions: int) -> DataFrame:
        """Views, purchases and returns: user, item, kind, time in seconds."""
        layout, draws = self._layout, self._draws
        number = F.col("id")
        group, place = _div(number, EVENT_GROUP), number % EVENT_GROUP
        kind = F.lit(event_kind(0))
        for n in range(1, EVENT_GROUP):
            kind = F.when(place == n, event_kind(n)).otherwise(kind)
        bought = F.when(place == 18, number - 1).otherwise(number)  # a return is of the purchase before it
        user = F.when(place == 19, F.concat(F.lit("E"), _padded(group % layout.silent_users, 7))).otherwise(
            self._user_id(draws.whole(bought, "visitor") % layout.ordinary_users)
        )
        rank = F.floor(F.pow(F.lit(float(layout.live_items)), draws.unit(bought, "looked at"))) - 1
        record = F.struct(
            user.alias("user_id"),
            _item_id(self._spread(rank, layout.live_items, _ITEMS)).alias("item_id"),
            kind.alias("kind"),
            (self._moment(bought) + F.when(place == 18, 20 * _DAY).otherwise(0)).alias("timestamp"),
        )
        return self._spark.range(0, layout.events, 1, partitions).select(_json(record))

    def user_ids(self, numbers: list[int]) -> list[str]:
        """Ids of ordinary users by number."""
        factor, shift = self._layout.spread(self._layout.config.n_users, _USERS)
        return [f"U{(n * factor + shift) % self._layout.config.n_users:08d}" for n in numbers]

    def hot_item_id(self) -> str:
        """Id of the item with a fifth of all reviews."""
        return f"I{self._layout.live_items:08d}"

    def _with_pairs(self, rows: DataFrame, of_user: Column | None = None) -> DataFrame:
        """Add columns `user` and `item`, numbers; an ordinary row's are a function of its number."""
        layout, draws = self._layout, self._draws
        tiers = layout.tiers
        point = self._spread(F.col("row"), layout.rows, _ROWS)
        new = F.col("row").isNull() if of_user is not None else F.lit(False)
        tier = _last_below(F.when(~new, point), [one.first_row for one in tiers])
        if of_user is not None:
            tier = F.when(new, _last_below(of_user, [one.first_user for one in tiers])).otherwise(tier)
        rows = rows.withColumns({"point": point, "tier": tier})

        def of_tier(values: list[int]) -> Column:
            return F.get(F.array(*(F.lit(value).cast("long") for value in values)), F.col("tier"))

        reviews, within = (
            of_tier([one.reviews for one in tiers]),
            F.col("point") - of_tier([one.first_row for one in tiers]),
        )
        user = of_tier([one.first_user for one in tiers]) + _quotient(within, reviews)
        if of_user is not None:
            user = F.when(new, of_user).otherwise(user)
        rows = rows.withColumns({"user": user, "parts": reviews + 1, "nth": within % reviews})
        # Each of a user's reviews is of another part of the items, by popularity; one part waits for the increment.
        spare = draws.whole(F.col("user"), "spare") % F.col("parts")
        part = F.when(new, spare).otherwise(F.col("nth") + F.when(F.col("nth") >= spare, 1).otherwise(0))
        rows = rows.withColumn("part", part)
        low, high = self._bound(F.col("part")), self._bound(F.col("part") + 1)
        draw = draws.unit(F.coalesce(F.when(~new, F.col("point")), -F.col("user") - 1), "item")
        rank = F.floor((low + 1) * F.pow((high + 1) / (low + 1), draw)).cast("long") - 1
        item = self._spread(F.least(F.greatest(rank, low), high - 1), layout.live_items, _ITEMS)
        if of_user is None:
            position = F.col("id")
            hot = _div(position, BLOCK) * (BLOCK // HOT_EVERY) + _div(position % BLOCK, HOT_EVERY)
            heavy = F.col("block") * 10 + F.col("place")
            by_all = self._spread(hot % layout.ordinary_users, layout.ordinary_users, _HOT)
            is_hot, is_heavy = F.col("kind") == "hot", F.col("kind") == "heavy"
            user = F.when(is_hot, by_all).when(is_heavy, layout.ordinary_users).otherwise(F.col("user"))
            item = (
                F.when(is_hot, layout.live_items)
                .when(is_heavy, self._spread(heavy, layout.live_items, _HEAVY))
                .otherwise(item)
            )
            return rows.withColumns({"user": user, "item": item})
        return rows.withColumn("item", item)

    def _written(self, rows: DataFrame) -> DataFrame:
        """Lines of reviews with columns id, kind, place, origin, user and item."""
        draws, kind, number = self._draws, F.col("kind"), F.col("id")
        # A copy is what its original is; an edit is of the same review, a month later at most, in other words.
        key = F.when(kind.isin("copy"), F.col("origin")).otherwise(number)
        rows = rows.withColumn("key", key)
        key = F.col("key")
        stars = F.get(F.array(*map(F.lit, _STARS)), (draws.whole(key, "rating") % len(_STARS)).cast("int"))
        later = self._moment(F.col("origin")) + _DAY + draws.whole(key, "later") % (29 * _DAY)
        new_day = self._end + draws.whole(key, "new day") % _DAY
        is_edit = kind.isin("edit_of_id", "edit_of_pair")
        at = (
            F.when((number >= self._layout.config.n_reviews) & (kind != "copy"), new_day)
            .when(is_edit, later)
            .when(kind == "future", self._end + 30 * _DAY + draws.whole(key, "future") % (300 * _DAY))
            .otherwise(self._moment(key))
        )
        named = F.when(kind.isin("copy", "edit_of_id", "duplicate_id"), F.col("origin")).otherwise(number)
        rows = rows.withColumns({"rating": F.when(kind == "spam", 5).otherwise(stars), "at": at, "named": named})
        campaign = draws.whole(key, "campaign") % self._layout.spam_campaigns
        place = F.when(kind == "plain", F.col("place")).otherwise(-1)
        text = F.when(kind == "spam", self._texts.spam(key, campaign)).otherwise(
            self._texts.text(key, F.col("rating"), place)
        )
        record = F.struct(
            F.concat(F.lit("R"), _padded(F.col("named"), 10)).alias("review_id"),
            F.when(kind != "missing_user_id", self._user_id(F.col("user"))).alias("user_id"),
            _item_id(F.col("item")).alias("item_id"),
            F.col("rating").alias("rating"),
            self._texts.title(key).alias("title"),
            text.alias("text"),
            F.col("at").alias("timestamp"),
        )
        line = F.col("value")
        broken = (
            F.when(kind == "not_json", F.substring(line, F.lit(1), (F.length(line) * 0.6).cast("int")))
            .when(kind == "bad_rating", _replaced(line, "rating", F.col("rating"), "many"))
            .when(kind == "bad_timestamp", _replaced(line, "timestamp", F.col("at"), "yesterday"))
            .otherwise(line)
        )
        return rows.select("kind", "rating", "at", _json(record)).select(broken.alias("value"))

    def _row(self, block: Column, place: Column) -> Column:
        """Number of the ordinary row at a place of a kind with a pair of its own."""
        found, before = F.lit(None).cast("long"), 0
        for name in OWN_PAIR:
            first, last = KINDS[name]
            found = F.when((place >= first) & (place < last), place - first + before).otherwise(found)
            before += last - first
        return block * self._layout.rows_a_block + found

    def _bound(self, part: Column) -> Column:
        """First rank of one of a user's parts of the items: parts grow by the same factor, and hold one item at least."""
        parts = F.col("parts")
        return part + F.floor(F.pow(self._layout.live_items - parts + 1.0, part / parts)).cast("long") - 1

    def _moment(self, key: Column) -> Column:
        """Seconds of a review's time: in the window, more of them later."""
        span = self._layout.config.days * _DAY - _LATEST
        return self._start + F.floor(F.sqrt(self._draws.unit(key, "time")) * span).cast("long")

    def _user_id(self, number: Column) -> Column:
        return F.concat(F.lit("U"), _padded(self._spread(number, self._layout.config.n_users, _USERS), 8))

    def _spread(self, number: Column, size: int, salt: int) -> Column:
        factor, shift = self._layout.spread(size, salt)
        return (number * factor + shift) % size


_STARS = (1,) * 8 + (2,) * 5 + (3,) * 9 + (4,) * 18 + (5,) * 60
_BRANDS = ("Halden", "Corvane", "Bexley", "Nordvik", "Ostrava", "Kestrel", "Lumora", "Pinecrest", "Arden", "Vantor")
_NOUNS = ("Lamp", "Knife", "Backpack", "Headphones", "Kettle", "Chair", "Drill", "Jacket", "Board Game", "Coffee Maker")


def _line(block: Column, place: Column) -> Column:
    """Number of the line at a place of a block."""
    inverse = pow(STRIDE, -1, PLACES)
    nth = place * inverse % PLACES
    return block * BLOCK + nth + _div(nth, HOT_EVERY - 1) + 1


def _div(number: Column, by: int) -> Column:
    return _quotient(number, F.lit(by))


def _quotient(number: Column, by: Column) -> Column:
    """Whole quotient of whole numbers from 0 on."""
    return F.call_function("div", number, by)


def _last_below(value: Column, firsts: list[int]) -> Column:
    """Index of the last of some rising numbers that is not above the value."""
    return reduce(add, ((value >= first).cast("int") for first in firsts[1:]), F.lit(0))


def _item_id(number: Column) -> Column:
    return F.concat(F.lit("I"), _padded(number, 8))


def _padded(number: Column, width: int) -> Column:
    return F.lpad(number.cast("string"), width, "0")


def _json(record: Column) -> Column:
    return F.to_json(record).alias("value")


def _replaced(line: Column, key: str, value: Column, by: str) -> Column:
    return F.replace(line, F.concat(F.lit(f'"{key}":'), value.cast("string")), F.lit(f'"{key}":"{by}"'))
