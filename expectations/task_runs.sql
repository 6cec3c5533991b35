-- Measures of task_runs, one row; expectations/task_runs.json says what they must be.
SELECT
    count(*) FILTER (event NOT IN ('started', 'ended')) AS unknown_events,
    count(*) FILTER (event = 'ended' AND outcome IS NULL) AS without_outcome,
    count(*) FILTER (run_id NOT IN (SELECT run_id FROM runs)) AS of_no_run
FROM task_runs
