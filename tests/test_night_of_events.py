"""A whole night from events alone: ratings of films, of which nothing is known but titles and genres."""

from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from persona_pipeline.config import load_config
from persona_pipeline.orchestrate.local import LocalRun
from persona_pipeline.runs.order import ORDER
from persona_pipeline.serving import Recommendations
from persona_pipeline.warehouse import Warehouse

pytestmark = pytest.mark.slow

USERS, FILMS = 40, 24
GENRES = ("Western", "Musical")


def _left_out(user: int) -> int:
    """The one film of the user's own kind that the user has not seen."""
    return [film for film in range(1, FILMS + 1) if film % 2 == user % 2][user * 7 % (FILMS // 2)]


def _ratings() -> str:
    """Even users love even films, odd ones odd; each saw all but one of them, and hates one of the others."""
    rows = []
    for user in range(1, USERS + 1):
        mine = [film for film in range(1, FILMS + 1) if film % 2 == user % 2 and film != _left_out(user)]
        rows += [(user, film, 5.0, 1_700_000_000 + 60 * n) for n, film in enumerate(mine)]
        rows.append((user, 1 + user % FILMS, 1.0, 1_700_100_000))
    return "".join(f"{user},{film},{stars},{when}\n" for user, film, stars, when in rows)


def test_a_night_of_ratings_ends_in_a_release(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + _ratings())
    (tmp_path / "movies.csv").write_text(
        "movieId,title,genres\n"
        + "".join(f"{n},{GENRES[n % 2]} number {n} (19{60 + n}),{GENRES[n % 2]}|Drama\n" for n in range(1, FILMS + 1))
    )
    settings = {
        "interactions": {"file": str(tmp_path / "ratings.csv")},
        "encoders": {"tuning_minutes": 0, "steps": 20, "batch_size": 64, "prior": "prox_knn", "prior_weight": 8.0},
        "user_item_topk": {"k": 5, "user_buckets": 2},
        "spark": {"driver_memory": "2g", "shuffle_partitions": 2},
    }
    night = LocalRun(
        tmp_path / "warehouse",
        date(2023, 12, 1),
        load_config("local", settings),
        "movielens",
        None,
        tmp_path / "movies.csv",
    )
    summaries = night.run(ORDER, Console(quiet=True))
    assert summaries["interactions"]["lines"] == _ratings().count("\n")
    assert summaries["reviews"]["lines"] == 0
    assert summaries["releases"]["verdict"] == "published"
    warehouse = Warehouse(tmp_path / "warehouse")
    rows = warehouse.read("user_item_topk").to_pylist()
    assert {row["user_id"] for row in rows} == {str(user) for user in range(1, USERS + 1)}
    assert {row["recommendation_source"] for row in rows} == {"metadata_persona"}
    # All others of the user's kind saw it.
    firsts = {int(row["user_id"]): int(row["item_id"]) for row in rows if row["rank"] == 1}
    assert sum(film == _left_out(user) for user, film in firsts.items()) > 0.9 * USERS
    met = warehouse.query("SELECT user_id, item_id FROM interactions", ["interactions"]).to_pylist()
    assert not {(row["user_id"], row["item_id"]) for row in rows} & {(row["user_id"], row["item_id"]) for row in met}
    found = Recommendations(tmp_path / "warehouse").why("1", rows[0]["item_id"])
    assert {share.review_id for share in found.contributions} == {None}
