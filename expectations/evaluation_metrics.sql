-- Measures of evaluation_metrics, one row; expectations/evaluation_metrics.json says what they must be. Without rows all are 0.
WITH mixed AS (
    SELECT evaluation_id FROM evaluation_metrics GROUP BY evaluation_id
    HAVING count(DISTINCT (as_of, data, split)) > 1 OR count(DISTINCT reference) > 1
)
SELECT
    count(*) FILTER (metric NOT IN ('hit', 'mrr', 'ndcg', 'recall', 'precision', 'coverage', 'average_popularity')) AS unknown_metrics,
    count(*) FILTER (value < 0 OR (metric <> 'average_popularity' AND value > 1) OR isnan(value)) AS impossible_values,
    count(*) FILTER (value < low OR value > high OR difference < difference_low OR difference > difference_high) AS outside_their_interval,
    count(*) FILTER (
        (reference IS NULL) <> (difference IS NULL) OR (reference IS NULL) <> (difference_low IS NULL)
        OR (reference IS NULL) <> (difference_high IS NULL) OR (reference IS NULL) <> (p_value IS NULL)
    ) AS half_compared,
    count(*) FILTER (reference = model) AS compared_with_themselves,
    count(*) FILTER (users < 1 OR cutoff < 1) AS of_nobody,
    (SELECT count(*) FROM mixed) AS mixed_evaluations
FROM evaluation_metrics
