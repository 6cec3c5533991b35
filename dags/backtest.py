"""Backtest.

The nightly jobs on part of the reviews, scored against the rest, and against tuned baselines: rows of `evaluation_metrics`.
One task, `python -m jobs.evaluation_metrics`, in warehouses of its own; the nightly tables stay as they are, but for
`text_embeddings` and `llm_calls` of the warehouse named by `cache`, which are used and added to.

**Owner:** data engineering. **Schedule:** Sundays 06:00 UTC, after the night, for the reviews before that day (`as_of`).

**When it is red**

* The task's log ends with one line that says what is wrong, where, and what to do; each job's own log is in `_logs/` of its
  night, under the backtest's folder.
* "holds what was withheld": a table or an encoder knows what it would be scored against. No figure was written.
* Anything else: clear the task. It goes on where it was.
"""

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param
from airflow.timetables.interval import CronDataIntervalTimetable
from job_operator import DEFAULTS, FILTERS, INPUT, JobOperator, params

SPLIT = (
    " --split {{ params.split | quote }} --seeds {{ params.seeds }}"
    "{% if params.cache %} --cache {{ params.cache | quote }}{% endif %}"
    "{% if not params.baselines %} --no-baselines{% endif %}"
)

with DAG(
    dag_id="backtest",
    schedule=CronDataIntervalTimetable("0 6 * * 0", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["recommendations", "evaluation"],
    user_defined_filters=FILTERS,
    render_template_as_native_obj=False,
    default_args=DEFAULTS,
    params={
        **params(os.environ.get("PERSONA_BACKTEST", "backtest")),
        "split": Param("leave-last-out", type="string", description="leave-last-out, or the first day of the test"),
        "seeds": Param(1, type="integer", minimum=1, description="Runs of every model that draws at random"),
        "baselines": Param(True, type="boolean", description="Tune and fit collaborative models too"),
        "cache": Param(
            os.environ.get("PERSONA_WAREHOUSE"),
            type=["null", "string"],
            description="Warehouse whose text_embeddings and llm_calls are used and added to",
        ),
    },
) as dag:
    JobOperator(
        task_id="evaluation_metrics", arguments=INPUT + SPLIT, pool="gpu", execution_timeout=timedelta(hours=24)
    )
