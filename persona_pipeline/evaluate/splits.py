"""Split `reviews` and `interactions` for a backtest: choose the validation and test interactions to hold out.

Two ways. *Leave last out* withholds each user's last interaction for the test, and the last of those that remain for
validation, with everything else that connects the same user and item: a purchase would give its review away. *Before a
day* withholds what was written or happened on or after it; validation is split the same way, that day moved back by
the span of the test. Nothing that says dislike is to be predicted.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.core.interactions import NEWEST_FIRST, met_sql
from persona_pipeline.warehouse import Warehouse

TABLES = ("reviews", "interactions")
COLUMNS = ("interaction_id", "user_id", "item_id")

_EVERYTHING = """
SELECT review_id AS interaction_id, user_id, item_id, reviewed_at AS occurred_at FROM reviews
UNION ALL SELECT interaction_id, user_id, item_id, occurred_at FROM interactions
"""
_LEAVE_LAST_OUT = f"""
WITH placed AS (
    SELECT user_id, item_id, count(*) OVER (PARTITION BY user_id) AS met,
        row_number() OVER (PARTITION BY user_id ORDER BY {NEWEST_FIRST}) AS recency
    FROM ({met_sql()}) WHERE weight > 0
), held_out AS (
    SELECT user_id, item_id FROM placed WHERE recency = $recency AND met > $recency
)
SELECT {", ".join(COLUMNS)} FROM ({_EVERYTHING}) AS everything SEMI JOIN held_out USING (user_id, item_id)
ORDER BY user_id, interaction_id
"""
_LATER = """
SELECT interaction_id, user_id, item_id FROM later
SEMI JOIN earlier USING (user_id) ANTI JOIN earlier AS had USING (user_id, item_id)
WHERE weight > 0 ORDER BY user_id, interaction_id
"""


@dataclass(frozen=True, slots=True)
class Split:
    """Withheld reviews and events, both with columns interaction_id, user_id and item_id, ordered by user and id.

    While tuning both are withheld; for the test only `test` is.
    """

    test: pa.Table
    validation: pa.Table

    def tuning(self) -> pa.Table:
        """All interactions that are withheld while tuning."""
        return pa.concat_tables([self.test, self.validation])


def leave_last_out(warehouse: Warehouse) -> Split:
    """Hold out the last interaction of users with two or more, and the last remaining one of users with two or more left.

    A user with a single interaction is in neither. One window over both tables, O(n log n).
    """
    test, validation = (warehouse.query(_LEAVE_LAST_OUT, TABLES, {"recency": place}) for place in (1, 2))
    return Split(test, validation)


def later_interactions(later: Warehouse, earlier: Warehouse) -> pa.Table:
    """Select interactions that users of the earlier night added by the later one, without items they had already.

    Columns as in `Split`, one row per user and item.
    """
    columns = f"SELECT interaction_id, user_id, item_id, weight FROM ({met_sql()})"
    return earlier.query(_LATER, [], later=later.query(columns, TABLES), earlier=earlier.query(columns, TABLES))


def written_since(warehouse: Warehouse, day: date) -> pa.Table:
    """Select what was written or happened on or after a day (UTC), columns as in `Split`: the hold-out as of that day."""
    return warehouse.query(
        f"SELECT {', '.join(COLUMNS)} FROM ({_EVERYTHING}) AS everything WHERE occurred_at AT TIME ZONE 'UTC' >= $day "
        "ORDER BY user_id, interaction_id",
        TABLES,
        {"day": day},
    )


def tuning_day(warehouse: Warehouse, day: date) -> date:
    """Move `day` back by the span of the test, in whole days: from `day` to the newest interaction.

    Raises ConfigError where there is nothing on or after `day`, or nothing before the resulting day.
    """
    span = "min(occurred_at) AT TIME ZONE 'UTC' AS oldest, max(occurred_at) AT TIME ZONE 'UTC' AS newest"
    [found] = warehouse.query(f"SELECT {span} FROM ({_EVERYTHING}) AS everything", TABLES).to_pylist()
    oldest, newest = found["oldest"], found["newest"]
    if oldest is None or newest.date() < day:
        raise ConfigError(
            f"--split {day}: no review was written and nothing happened on or after that day; the newest is of {newest or 'none'}"
        )
    moved: date = day - (newest.date() + timedelta(days=1) - day)
    if oldest.date() >= moved:
        raise ConfigError(
            f"--split {day}: the test spans {(day - moved).days} days, and nothing is older than {moved}, where as long a "
            f"validation would begin; the oldest is of {oldest.date()}. Choose a later day"
        )
    return moved
