"""Record runs of the pipeline: `runs` holds their inputs, `task_runs` the attempts of their tasks.

`opening` fixes a run's inputs, `context` hands them to a task, `attempt` records a task's attempt, `log` reads both
tables, `completeness` decides whether a run may be published, `resume` continues an interrupted run.
"""
