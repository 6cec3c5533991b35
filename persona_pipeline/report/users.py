"""Show some users' histories and lists, and the default list, from `user_histories`, `user_item_topk` and `default_topk`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

from persona_pipeline.core.interactions import liked_sql
from persona_pipeline.report.contributions import bars, segments
from persona_pipeline.report.tables import TITLE, Row, RunTables
from persona_pipeline.warehouse import Warehouse

_TOP = 5
_DEFAULTS = 10


def sampled_users(warehouse: Warehouse, release_row: Mapping[str, Any], count: int) -> list[str]:
    """Sample users with a list: a third with most interactions, a third with fewest, the rest by hash."""
    third = count // 3
    rows = RunTables(warehouse, release_row).rows(
        """
        WITH listed AS (
            SELECT user_id, interaction_count AS n, md5(user_id) AS h
            FROM user_histories SEMI JOIN (SELECT user_id FROM user_item_topk WHERE rank = 1) USING (user_id)
        ),
        most AS (SELECT *, 1 AS part FROM listed ORDER BY n DESC, h LIMIT $third),
        fewest AS (SELECT *, 3 AS part FROM listed ANTI JOIN most USING (user_id) ORDER BY n, h LIMIT $third),
        spread AS (
            SELECT *, 2 AS part FROM listed ANTI JOIN most USING (user_id) ANTI JOIN fewest USING (user_id)
            ORDER BY h LIMIT $rest
        )
        SELECT user_id FROM (FROM most UNION ALL FROM spread UNION ALL FROM fewest) ORDER BY part, n DESC, h
        """,
        ["user_histories", "user_item_topk"],
        {"third": third, "rest": count - 2 * third},
    )
    return [row["user_id"] for row in rows]


def coverage(tables: RunTables, as_of: date) -> Row:
    """Count users, users with a personal list, and users whose list changed in this run."""
    return tables.rows(
        """
        SELECT (SELECT count(*) FROM user_histories) AS users,
               (SELECT count(*) FROM user_item_topk WHERE rank = 1) AS listed,
               (SELECT count(DISTINCT user_id) FROM user_item_topk WHERE changed_as_of = $as_of::DATE) AS changed
        """,
        ["user_histories", "user_item_topk"],
        {"as_of": as_of.isoformat()},
    )[0]


def users(tables: RunTables, chosen: Sequence[str], min_liked_rating: float) -> list[Row]:
    """Return per user the history, top recommendations, and the shares of each score."""
    histories = _histories(tables, chosen, min_liked_rating)
    lists = _lists(tables, chosen)
    return [_user(user_id, histories[user_id], lists.get(user_id, [])) for user_id in chosen]


def defaults(tables: RunTables) -> list[Row]:
    """Return the head of the list for unknown users."""
    columns = "rank, coalesce(item_title, item_id) AS title, persona_name, explanation"
    sql = f"SELECT {columns} FROM default_topk WHERE rank <= {_DEFAULTS} ORDER BY rank"
    return tables.rows(sql, ["default_topk"])


def _user(user_id: str, history: list[Row], recommended: list[Row]) -> Row:
    titles = {interaction["item_id"]: interaction["title"] for interaction in history}
    told = [segments(row["contributions"], row["score"], titles) for row in recommended]
    return {
        "user_id": user_id,
        "interaction_count": history[0]["interaction_count"] if history else 0,
        "history": history,
        "recommendations": [
            {**row, "segments": parts, "bar": bar}
            for row, parts, bar in zip(recommended, told, bars(told), strict=True)
        ],
    }


def _histories(tables: RunTables, chosen: Sequence[str], min_liked_rating: float) -> dict[str, list[Row]]:
    rows = tables.rows(
        f"""
        WITH told AS (
            SELECT user_id, interaction_count, unnest(interactions) AS i, generate_subscripts(interactions, 1) AS place
            FROM user_histories WHERE user_id IN (SELECT unnest($users::VARCHAR[]))
        )
        SELECT user_id, interaction_count, i.item_id AS item_id, i.rating AS rating, i.kind AS kind,
               {liked_sql("$liked", "i.")} AS liked, epoch_us(i.reviewed_at) AS at,
               coalesce({TITLE}, i.item_id) AS title
        FROM told LEFT JOIN items ON items.item_id = i.item_id
        LEFT JOIN item_summaries ON item_summaries.item_id = i.item_id
        ORDER BY user_id, place
        """,
        ["user_histories", "items", "item_summaries"],
        {"users": list(chosen), "liked": min_liked_rating},
    )
    for row in rows:
        row["day"] = datetime.fromtimestamp(row.pop("at") / 1e6, UTC).date()
    return {user_id: list(history) for user_id, history in groupby(rows, key=lambda row: row["user_id"])}


def _lists(tables: RunTables, chosen: Sequence[str]) -> dict[str, list[Row]]:
    rows = tables.rows(
        f"""
        SELECT user_id, rank, item_id, coalesce(item_title, item_id) AS title, score, persona_name, explanation,
               contributions, changed_as_of
        FROM user_item_topk WHERE rank <= {_TOP} AND user_id IN (SELECT unnest($users::VARCHAR[]))
        ORDER BY user_id, rank
        """,
        ["user_item_topk"],
        {"users": list(chosen)},
    )
    return {user_id: list(recommended) for user_id, recommended in groupby(rows, key=lambda row: row["user_id"])}
