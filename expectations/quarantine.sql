-- Measures of quarantine, one row; expectations/quarantine.json says what they must be.
-- An item counts as refused when nothing came of its output; of some of its personas is how grounding should work.
WITH refused AS (
    SELECT DISTINCT subject_id AS item_id, extraction_key FROM quarantine WHERE stage = 'item_personas'
)
SELECT
    (SELECT count(*) FROM quarantine WHERE reason = '') AS without_reason,
    (SELECT count(DISTINCT item_id) FROM refused
        ANTI JOIN (SELECT * FROM item_personas WHERE status = 'current') USING (item_id, extraction_key))
        / (SELECT greatest(count(*), 1) FROM items) AS share_of_items
