-- Measures of blocks, one row; expectations/blocks.json says what they must be.
SELECT
    count(*) FILTER (kind NOT IN ('item', 'creator', 'category')) AS unknown_kinds,
    count(*) FILTER (value = '' OR user_id = '') AS empty_values
FROM blocks
