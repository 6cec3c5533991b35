-- Measures of quarantine, one row; expectations/quarantine.json says what they must be.
SELECT
    count(*) FILTER (reason = '') AS without_reason,
    count(DISTINCT subject_id) FILTER (stage = 'item_personas') / (SELECT greatest(count(*), 1) FROM items) AS share_of_items
FROM quarantine
