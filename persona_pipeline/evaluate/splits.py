"""Split `reviews` for a backtest: choose the validation and test interactions to hold out.

Two ways. *Leave last out* withholds each user's last interaction for the test, and the last of those that remain for
validation. *Before a day* withholds reviews written on or after it; validation is split the same way, that day moved
back by the span of the test.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.warehouse import Warehouse

COLUMNS = ("review_id", "user_id", "item_id")

_LEAVE_LAST_OUT = """
WITH placed AS (
    SELECT review_id, user_id, item_id,
        count(*) OVER (PARTITION BY user_id) AS interactions,
        -- Ties in time by the order of the input, the later line being the later interaction: as in user_histories.
        row_number() OVER (
            PARTITION BY user_id ORDER BY reviewed_at DESC, source_file DESC, source_line DESC
        ) AS recency
    FROM reviews
)
SELECT review_id, user_id, item_id FROM placed
WHERE recency = $recency AND interactions > $recency ORDER BY user_id, review_id
"""
_LATER = """
SELECT review_id, user_id, item_id FROM later
SEMI JOIN earlier USING (user_id) ANTI JOIN earlier AS had USING (user_id, item_id)
ORDER BY user_id, review_id
"""


@dataclass(frozen=True, slots=True)
class Split:
    """Withheld interactions, both with columns review_id, user_id and item_id, ordered by user and review.

    While tuning both are withheld; for the test only `test` is.
    """

    test: pa.Table
    validation: pa.Table

    def tuning(self) -> pa.Table:
        """All interactions that are withheld while tuning."""
        return pa.concat_tables([self.test, self.validation])


def leave_last_out(warehouse: Warehouse) -> Split:
    """Hold out the last interaction of users with two or more, and the last remaining one of users with two or more left.

    A user with a single interaction is in neither. One window over `reviews`, O(n log n).
    """
    test, validation = (warehouse.query(_LEAVE_LAST_OUT, ["reviews"], {"recency": place}) for place in (1, 2))
    return Split(test, validation)


def later_interactions(later: Warehouse, earlier: Warehouse) -> pa.Table:
    """Select interactions that users of the earlier night added by the later one, without items they had already.

    Columns as in `Split`.
    """
    columns = "SELECT review_id, user_id, item_id FROM reviews"
    return earlier.query(
        _LATER, [], later=later.query(columns, ["reviews"]), earlier=earlier.query(columns, ["reviews"])
    )


def written_since(warehouse: Warehouse, day: date) -> pa.Table:
    """Select reviews written on or after a day (UTC), columns as in `Split`: the hold-out of a night as of that day."""
    return warehouse.query(
        "SELECT review_id, user_id, item_id FROM reviews WHERE reviewed_at AT TIME ZONE 'UTC' >= $day "
        "ORDER BY user_id, review_id",
        ["reviews"],
        {"day": day},
    )


def tuning_day(warehouse: Warehouse, day: date) -> date:
    """Move `day` back by the span of the test, in whole days: from `day` to the newest review.

    Raises ConfigError where there are no reviews on or after `day`, or none before the resulting day.
    """
    sql = "SELECT min(reviewed_at) AT TIME ZONE 'UTC' AS oldest, max(reviewed_at) AT TIME ZONE 'UTC' AS newest FROM reviews"
    [found] = warehouse.query(sql, ["reviews"]).to_pylist()
    oldest, newest = found["oldest"], found["newest"]
    if oldest is None or newest.date() < day:
        raise ConfigError(
            f"--split {day}: no review was written on or after that day; the newest is of {newest or 'none'}"
        )
    moved: date = day - (newest.date() + timedelta(days=1) - day)
    if oldest.date() >= moved:
        raise ConfigError(
            f"--split {day}: the test spans {(day - moved).days} days, and no review is older than {moved}, where as long a "
            f"validation would begin; the oldest is of {oldest.date()}. Choose a later day"
        )
    return moved
