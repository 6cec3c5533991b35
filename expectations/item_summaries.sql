-- Measures of item_summaries, one row; expectations/item_summaries.json says what they must be.
SELECT
    (SELECT count(*) FROM items ANTI JOIN item_summaries USING (item_id)) AS missing_items,
    count(*) FILTER (summary = '' AND summary_source <> 'none') AS blank
FROM item_summaries
