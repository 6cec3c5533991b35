-- Measures of erasures, one row; expectations/erasures.json says what they must be.
SELECT
    count(*) FILTER (NOT regexp_full_match(user_digest, '[0-9a-f]{64}')) AS no_digests,
    count(*) FILTER (let_back_at < erased_at) AS let_back_before
FROM erasures
