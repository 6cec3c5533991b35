-- Measures of encoder_overrides, one row; expectations/encoder_overrides.json says what they must be.
SELECT
    count(*) FILTER (override NOT IN ('pin', 'unpin', 'promote')) AS unknown_kinds,
    count(*) FILTER ((encoder_id = '') <> (override = 'unpin')) AS of_no_encoder
FROM encoder_overrides
