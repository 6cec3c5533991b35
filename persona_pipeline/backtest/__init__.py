"""`persona-pipeline backtest`: the nightly jobs on part of the reviews, scored against the rest.

Three nights, each in a warehouse of its own under one root. `all` reads every review and is where what to withhold is
chosen. `tuning` knows neither test nor validation interactions: the encoder's settings, and every baseline's, are chosen on
it. `test` knows all but the test interactions: everything is made anew there, and what it would recommend is judged.
Texts embedded and questions answered for one night are not paid for again by another, and what stands is not made again.
"""

from persona_pipeline.backtest.run import run_backtest
from persona_pipeline.backtest.split_runs import LEAVE_LAST_OUT, BacktestRequest

__all__ = ["LEAVE_LAST_OUT", "BacktestRequest", "run_backtest"]
