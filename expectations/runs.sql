-- Measures of runs, one row; expectations/runs.json says what they must be.
SELECT
    count(*) FILTER (closed_at IS NULL) > 1 AS open_at_once,
    count(*) FILTER ((closed_at IS NULL) <> (outcome IS NULL)) AS half_closed
FROM runs
