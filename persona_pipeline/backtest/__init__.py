"""Backtest the pipeline (`persona-pipeline backtest`): run the nightly jobs on part of the reviews, score them on the rest.

Three nights, each in a warehouse of its own under one root. `all` reads every review, and the hold-outs are chosen
there. `tuning` knows neither test nor validation interactions: the encoder's settings, and every baseline's, are chosen
on it. `test` knows all but the test interactions: every table is made anew there, and its recommendations are
evaluated. The three share the caches of embeddings and of LLM responses, and a rerun skips jobs whose output is still
valid.
"""

from persona_pipeline.backtest.run import run_backtest
from persona_pipeline.backtest.split_runs import LEAVE_LAST_OUT, BacktestRequest

__all__ = ["LEAVE_LAST_OUT", "BacktestRequest", "run_backtest"]
