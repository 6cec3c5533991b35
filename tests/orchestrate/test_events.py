"""What people are shown of the jobs' output, as it stands in Airflow's log."""

import io
from typing import Any

from persona_pipeline.orchestrate.events import brief, events

LOG = """2026-11-22T10:00:00.000000Z [info     ] Running command: ['bash', '-c', ...] [airflow.task.hooks] loc=subprocess.py:88
2026-11-22T10:00:01.000000Z [info     ] {"job": "extraction_shard", "event": "started"} [airflow.task.hooks] loc=subprocess.py:106
2026-11-22T10:15:11Z [info] {"job": "extraction_shard", "event": "progress", "text": "answered 37 of 173", "done": 37} [airflow]
2026-11-22T10:15:12.000000Z [info     ] step 25 of 1000: a line that only looks like progress [airflow]
2026-11-22T10:16:00.000000Z [info     ] {"job": "broken [airflow.task.hooks] loc=subprocess.py:106
2026-11-22T10:17:00.000000Z [info     ] {"job": "extraction_shard", "event": "finished", "shard": 0, "seconds": 9.1} [airflow.task]
"""


def test_events_and_progress_are_found_in_airflows_lines() -> None:
    kept = io.StringIO()
    found = list(events(io.StringIO(LOG), kept))
    assert found == [
        {"job": "extraction_shard", "event": "started"},
        {"job": "extraction_shard", "event": "progress", "text": "answered 37 of 173", "done": 37},
        {"job": "extraction_shard", "event": "finished", "shard": 0, "seconds": 9.1},
    ]
    assert kept.getvalue() == LOG


def test_a_summary_in_a_few_words() -> None:
    usage = {"asked": 63, "cached": 5, "outcomes": {"ok": 62, "invalid_json": 1}}
    event: dict[str, Any] = {"job": "review_aspects", "event": "finished", "seconds": 1.0, "reviews": 53, "llm": usage}
    event["written"] = [{"table": "review_aspects", "version": 1, "inserted": 53, "updated": 0, "deleted": 0}]
    assert brief(event) == (
        "review_aspects +53, reviews 53, requests asked 63, answers on record 5, ok 62, invalid json 1"
    )
