"""The night's tables, summaries and release row to one HTML page under `_reports/`."""

import argparse
from typing import Any

from jobs.runner import Night, run
from persona_pipeline.report import newest_row, sampled_users, write_report


def job(night: Night, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Write the page, whatever the verdict: a refused night needs it most."""
    row = newest_row(night.warehouse, night.as_of, night.config.digest())
    path = write_report(night.warehouse, night.as_of, row, night.config)
    return {
        "report": str(path.relative_to(night.warehouse.root)),
        "users": len(sampled_users(night.warehouse, row, night.config.report.users)),
    }


if __name__ == "__main__":
    run("report", job)
