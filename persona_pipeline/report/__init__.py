"""Report a run as one HTML page of its tables and job summaries: the verdict, and the readers' lists."""

from persona_pipeline.report.page import render_report, write_report
from persona_pipeline.report.users import sampled_users

__all__ = ["render_report", "sampled_users", "write_report"]
