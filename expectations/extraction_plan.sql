-- Measures of extraction_plan, one row; expectations/extraction_plan.json says what they must be.
SELECT
    (SELECT count(*) FROM extraction_plan ANTI JOIN items USING (item_id)) AS unknown_items,
    (SELECT coalesce(max(shard) + 1, 0) - count(DISTINCT shard) FROM extraction_plan) AS empty_shards,
    (SELECT count(*) FROM extraction_plan WHERE shard < 0 OR tokens < 0) AS negative
