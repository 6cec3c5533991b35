"""Render the run's tables, task summaries and row of `releases` as one HTML page under `_reports/`; closes a failed run."""

import argparse
from typing import Any

from jobs.runner import run
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.publish.releases import release_row
from persona_pipeline.report import sampled_users, write_report
from persona_pipeline.runs.context import RunContext
from persona_pipeline.runs.opening import close_failed
from persona_pipeline.warehouse import Warehouse


def job(context: RunContext, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Write the page whatever the verdict: a refused night needs it most."""
    plain = Warehouse(context.warehouse.root, context.warehouse.commit)
    row = close_failed(plain, context.run_id)
    if row["outcome"] not in ("published", "refused"):
        raise PipelineError(
            f"run {context.run_id} came to no verdict, so there is nothing to report on: {row['detail']}"
        )
    release = release_row(plain, row["detail"])
    summaries = {task: one.summary() for (task, part), one in context.done.items() if one.succeeded and not part}
    path = write_report(plain, context.as_of, release, context.config, summaries)
    return {
        "report": str(path.relative_to(plain.root)),
        "users": len(sampled_users(plain, release, context.config.report.users)),
    }


if __name__ == "__main__":
    run("report", job)
