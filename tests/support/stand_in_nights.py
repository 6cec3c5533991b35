"""Nights of a backtest that nobody runs: what their tables would hold, of four users who met four of six items each."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow.parquet as pq
from helpers import Row, as_met, put, shop

from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.orchestrate.local import LocalRun
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.fingerprints import reviews_digest

ITEMS, USERS = [f"i{n}" for n in range(6)], [f"u{n}" for n in range(4)]


def met(user: int) -> list[str]:
    """Four items, oldest first: the last is to be predicted, the one before it to tune on; two are never met."""
    return [ITEMS[(user + n) % 6] for n in range(4)]


def review(user: int, place: int) -> Row:
    """One a day."""
    item, when = met(user)[place], datetime(2024, 6, 1 + place, tzinfo=UTC)
    row = {**shop()["reviews"][0], "review_id": f"u{user}-{item}", "user_id": f"u{user}", "item_id": item}
    return {**row, "reviewed_at": when, "source_line": 4 * user + place + 1}


class StandInNights:
    """Their lists name first what was never met, and then what was withheld; with `leaky` they know the answers."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self.leaky = encoder, False

    def run_job(self, night: LocalRun, job: str) -> Row:
        """In the place of the job's process; returns its summary."""
        warehouse, encoded = Warehouse(night.warehouse), {"encoder_id": "enc1"}
        if job == "reviews":
            file = night.config.reviews.withheld
            hidden = pq.read_table(file)["review_id"].to_pylist() if file else []
            rows = [review(user, place) for user in range(4) for place in range(4)]
            put(warehouse, "reviews", [row for row in rows if row["review_id"] not in hidden])
            put(warehouse, "items", [{**shop()["items"][0], "item_id": item} for item in ITEMS])
        if job == "user_histories" and self.leaky:
            put(warehouse, job, [{**shop()["user_histories"][0], "interactions": [as_met(review(0, 3))]}])
        if job == "encoders":
            put(warehouse, "encoders", shop()["encoders"])
            made = replace(self.encoder, reviews_digest=reviews_digest(warehouse))
            made.save(warehouse.root / "_artefacts" / "encoders" / "enc1")
        if job == "user_item_topk":
            row = {**shop()["user_item_topk"][0], **encoded}
            lists = [(user, [ITEMS[(user + 4) % 6], met(user)[-1]]) for user in range(4)]
            put(staged_tables(warehouse), job, [
                {**row, "user_id": f"u{user}", "item_id": item, "rank": rank}
                for user, items in lists
                for rank, item in enumerate(items, start=1)
            ])  # fmt: skip
        if job == "default_topk":
            put(staged_tables(warehouse), job, [])
        return encoded
