"""Nightly recommendations.

Reviews and events to recommendations with reasons: aggregation (Spark), persona extraction, encoder, scoring, audit, release.
A task is named after the table it makes and runs `python -m jobs.<table>`; every job may be run again at any time.

**Owner:** data engineering. **Schedule:** 02:00 UTC, for the reviews before that day's midnight (`as_of`).

**When it is red**

* `persona-pipeline runs show`: what was read, written, how long, what failed. `runs` fixes what the night depends on: after mending
  the configuration or the input, clear it and everything after it; a task cleared alone does what its run says.
* The failed task's log ends with one line that says what is wrong, where, and what to do.
* `runs`: the input or the configuration; or another run goes on, which it names.
* `reviews`: the input. Refused lines are in the table `rejected_reviews` with file, line and reason.
* `interactions`: the file of events. Refused lines are in `rejected_interactions`; `unknown_kind` asks for `interactions.weights`.
* `blocks`: the file that the configuration names under `eligibility.blocks`; the log names the rows that cannot be understood.
* `candidates`: the file that the configuration names under `candidates`. Refused rows are in `rejected_candidates`.
* `extraction_plan`: an LLM extracts, and the night would cost more than its ceiling. The log shows what changed, by stage.
* `extraction_shard`: an engine died more often than allowed, or the server is gone. What was answered is kept: clear the
  shard. `review_aspects`, `item_summaries` and `item_personas` start no engine and only take over what the shards got.
* `releases`: the night was refused by the audit. Readers still see the release before; the failed checks are in the log,
  in `releases.reasons` and in the report. Fix the cause, then clear the task it lies in and everything after it. Where only
  the distance from the release before was too large, and is meant: `persona-pipeline releases accept`, then clear `releases`.
* Something wrong was published: `persona-pipeline releases rollback`.
* Anything else: clear the task. Finished tasks leave no trace when they run again.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, chain
from airflow.timetables.interval import CronDataIntervalTimetable
from job_operator import DEFAULTS, FILTERS, INPUT, RUN, JobOperator, params

EXTRACTION: dict[str, Any] = {"arguments": RUN + " --no-engine", "execution_timeout": timedelta(hours=12)}
GPU_QUEUE = os.environ.get("PERSONA_GPU_QUEUE", "default")  # of the workers that hold an LLM, or train a base model


with DAG(
    dag_id="nightly_recommendations",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["recommendations"],
    user_defined_filters=FILTERS,
    render_template_as_native_obj=False,
    default_args=DEFAULTS,
    params=params(os.environ.get("PERSONA_WAREHOUSE", "warehouse")),
) as dag:
    # Fixes everything the night depends on; the others are told its run alone.
    runs = JobOperator(task_id="runs", arguments=INPUT, output_processor=lambda summary: json.loads(summary)["run_id"])
    interactions = JobOperator(task_id="interactions", pool="spark")
    reviews = JobOperator(task_id="reviews", pool="spark")
    item_reviews = JobOperator(task_id="item_reviews", pool="spark")
    user_histories = JobOperator(task_id="user_histories", pool="spark")
    candidates = JobOperator(task_id="candidates", pool="spark")
    blocks = JobOperator(task_id="blocks", pool="spark")
    # Where an LLM extracts, shards do the asking, an engine each, and the three tasks after them commit one table each.
    extraction_plan = JobOperator(
        task_id="extraction_plan",
        execution_timeout=timedelta(hours=12),
        output_processor=lambda summary: json.loads(summary)["shards"],
    )
    extraction_shard = JobOperator.partial(
        task_id="extraction_shard", pool="gpu", queue=GPU_QUEUE, execution_timeout=timedelta(hours=12)
    ).expand(shard=extraction_plan.output)
    # Without an LLM there are no shards: skipped is as good as done.
    review_aspects = JobOperator(task_id="review_aspects", pool="gpu", trigger_rule="none_failed", **EXTRACTION)
    item_summaries = JobOperator(task_id="item_summaries", pool="gpu", **EXTRACTION)
    item_personas = JobOperator(task_id="item_personas", pool="gpu", **EXTRACTION)
    text_embeddings = JobOperator(
        task_id="text_embeddings", pool="gpu", queue=GPU_QUEUE, execution_timeout=timedelta(hours=6)
    )
    persona_choices = JobOperator(
        task_id="persona_choices", pool="gpu", queue=GPU_QUEUE, execution_timeout=timedelta(hours=12)
    )
    training_pairs = JobOperator(task_id="training_pairs", pool="spark")
    # Where the base model itself is trained, which goes on from its last checkpoint when the task is retried.
    encoders = JobOperator(task_id="encoders", pool="gpu", queue=GPU_QUEUE, execution_timeout=timedelta(hours=12))
    persona_vectors = JobOperator(task_id="persona_vectors", pool="gpu", queue=GPU_QUEUE)
    user_vectors = JobOperator(task_id="user_vectors", pool="gpu", queue=GPU_QUEUE)
    user_item_topk = JobOperator(task_id="user_item_topk", pool="spark", execution_timeout=timedelta(hours=6))
    default_topk = JobOperator(task_id="default_topk")
    releases = JobOperator(
        task_id="releases",
        pool="spark",
        outlets=[
            Asset("persona4rec://user_item_topk"),
            Asset("persona4rec://default_topk"),
            Asset("persona4rec://releases"),
        ],
    )
    # A teardown runs after a refused night too, and leaves the run's state to `releases`.
    report = JobOperator(task_id="report", retries=0).as_teardown()

    chain(runs, interactions, reviews, [item_reviews, user_histories], extraction_plan, extraction_shard)
    chain(extraction_shard, review_aspects, item_summaries, item_personas, text_embeddings)
    chain(text_embeddings, training_pairs, encoders, [persona_vectors, user_vectors], user_item_topk)
    # Nothing waits for a judge but the pairs; without an LLM the task is done before the texts are embedded.
    chain(item_personas, persona_choices, training_pairs)
    chain(user_histories, candidates, user_item_topk)
    chain(reviews, blocks, user_item_topk)
    chain([user_item_topk, default_topk], releases, report)
    encoders >> default_topk
