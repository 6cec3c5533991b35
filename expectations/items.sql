-- Measures of items, one row; expectations/items.json says what they must be.
WITH met AS (SELECT item_id FROM reviews UNION SELECT item_id FROM interactions)
SELECT
    count(*) AS rows,
    count(*) FILTER (NOT available) AS unavailable,
    count(*) FILTER (available = (unavailable_reason IS NOT NULL)) AS without_reason,
    (SELECT count(DISTINCT item_id) FROM met ANTI JOIN items USING (item_id)) AS reviewed_but_missing,
    CASE WHEN bool_or(has_metadata) THEN
        (SELECT count(DISTINCT item_id) FROM met ANTI JOIN (SELECT item_id FROM items WHERE has_metadata) USING (item_id))
            / (SELECT nullif(count(DISTINCT item_id), 0) FROM met)
    END AS items_without_metadata
FROM items
