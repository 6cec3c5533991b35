-- Measures of encoders, one row; expectations/encoders.json says what they must be.
SELECT count(*) AS rows, count(*) FILTER (pair_count < 2) AS untrained FROM encoders
