-- Measures of encoders, one row; expectations/encoders.json says what they must be.
SELECT
    count(*) AS rows,
    count(*) FILTER (pair_count < 2) AS untrained,
    count(*) FILTER (verdict NOT IN ('first', 'promoted', 'kept_settings', 'manual') OR len(reasons) = 0) AS unexplained
FROM encoders
