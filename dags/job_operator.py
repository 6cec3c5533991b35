"""What the DAGs share: how a job is run, where its input lies, and the defaults of every task."""

import json
import os
import shlex
import sys
from datetime import timedelta
from functools import cached_property
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook, SubprocessResult
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException

PYTHON = os.environ.get("PERSONA_PYTHON", sys.executable)
FAULT = 65  # exit code of a job that found its input or configuration wrong: trying again will not help

AS_OF = "{{ (params.as_of or (data_interval_end | default(dag_run.run_after) | ds)) | quote }}"
WAREHOUSE = " --warehouse {{ params.warehouse | quote }}"
RUN = " --run-id {{ ti.xcom_pull(task_ids='runs') | quote }}"
INPUT = (
    " --as-of " + AS_OF + " --config {{ params.config | quote }}"
    "{% if params.extractor %} --extractor {{ params.extractor | quote }}{% endif %}"
    " --source {{ params.source | quote }}{% if params.reviews %} --reviews {{ params.reviews | quote }}{% endif %}"
    "{% if params['items'] %} --items {{ params['items'] | quote }}{% endif %}"
    "{% if params.interactions %} --interactions {{ params.interactions | quote }}{% endif %}"
)
FILTERS = {"quote": shlex.quote}

DEFAULTS: dict[str, Any] = {
    "owner": "data-engineering",
    "retries": 2,
    "retry_delay": timedelta(seconds=float(os.environ.get("PERSONA_RETRY_SECONDS", "60"))),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
    "execution_timeout": timedelta(hours=2),
}


class _Process(SubprocessHook):
    """A process whose exit code can be asked for; the operator tells it in an exception's text alone."""

    exit_code: int | None = None

    def run_command(self, *arguments: Any, **options: Any) -> SubprocessResult:
        """Run it."""
        result = super().run_command(*arguments, **options)
        self.exit_code = result.exit_code
        return result


class JobOperator(BashOperator):
    """Runs one job; its JSON summary, the last line it prints, becomes the XCom. A fault is not retried.

    `arguments` default to the run that the task `runs` opened; `shard` is which of a split task it is.
    """

    def __init__(self, *, task_id: str, arguments: str = RUN, shard: int | None = None, **options: Any) -> None:
        # exec: Airflow's signals reach the job itself, not a shell in between.
        command = f"exec {shlex.quote(PYTHON)} -m jobs.{task_id}{WAREHOUSE}{arguments}"
        command += f" --shard {shard}" if shard is not None else ""
        options.setdefault("output_processor", json.loads)
        super().__init__(task_id=task_id, bash_command=command, **options)

    @cached_property
    def subprocess_hook(self) -> "_Process":
        """What runs the job, and knows how it ended."""
        return _Process()

    def execute(self, context: Context) -> Any:
        """Run the job."""
        try:
            return super().execute(context)
        except AirflowException as error:
            if self.subprocess_hook.exit_code == FAULT:
                raise AirflowFailException(
                    f"{self.task_id} found a fault that a retry cannot mend; see the line above"
                ) from error
            raise


def params(warehouse: str) -> dict[str, Param]:
    """Parameters of every run; `warehouse` is the default folder of the tables."""
    return {
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            description="UTC date; reviews before it count. Default: end of the data interval",
        ),
        "warehouse": Param(warehouse, type="string", description="Folder of the Delta tables"),
        "config": Param(
            os.environ.get("PERSONA_CONFIG", "local"), type="string", description="Profile (local, gpu) or YAML file"
        ),
        "extractor": Param(
            None,
            type=["null", "string"],
            enum=[None, "embedded", "vllm", "openai"],
            description="Overrides extraction.extractor",
        ),
        "source": Param(
            os.environ.get("PERSONA_SOURCE", "jsonl"),
            type="string",
            description="Adapter that reads the input; the README lists them",
        ),
        "reviews": Param(
            os.environ.get("PERSONA_REVIEWS", "reviews.jsonl.gz"),
            type=["null", "string"],
            description="File or folder of reviews; optional beside events",
        ),
        "items": Param(
            os.environ.get("PERSONA_ITEMS"), type=["null", "string"], description="File or folder of item metadata"
        ),
        "interactions": Param(
            os.environ.get("PERSONA_INTERACTIONS"),
            type=["null", "string"],
            description="File or folder of events that are not reviews. Overrides interactions.file",
        ),
    }
