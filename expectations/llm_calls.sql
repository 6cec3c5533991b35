-- Measures of llm_calls, one row; expectations/llm_calls.json says what they must be.
SELECT
    count(*) - count(DISTINCT request_key) AS asked_twice,
    count(*) FILTER (outcome NOT IN ('ok', 'truncated', 'invalid_json', 'schema', 'label_conflict')) AS no_answers
FROM llm_calls
