-- Measures of items, one row; expectations/items.json says what they must be.
SELECT
    count(*) AS rows,
    (SELECT count(DISTINCT item_id) FROM (SELECT item_id FROM reviews UNION SELECT item_id FROM interactions)
        ANTI JOIN items USING (item_id)) AS reviewed_but_missing
FROM items
