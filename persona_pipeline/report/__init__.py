"""One night's tables and job summaries to one HTML page: whether the night is good, and what readers get."""

from persona_pipeline.report.page import render_report, write_report
from persona_pipeline.report.users import sampled_users

__all__ = ["render_report", "sampled_users", "write_report"]
