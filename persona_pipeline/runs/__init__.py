"""Runs of the pipeline on record: `runs` says what one depends on, `task_runs` what its tasks did.

`opening` fixes a run, `context` hands it to a task, `attempt` records what the task did, `log` reads both tables,
`completeness` says whether a run may be published, `shown` prints them.
"""
