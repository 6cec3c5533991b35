-- Measures of rejected_candidates, one row; expectations/rejected_candidates.json says what they must be.
SELECT
    count(*) FILTER (reason NOT IN ('not_json', 'not_csv', 'missing_user_id', 'missing_item_id', 'missing_rank', 'bad_rank',
        'missing_score', 'bad_score', 'repeated')) AS unknown_reasons,
    count(*) FILTER (source_line < 1) AS without_line
FROM rejected_candidates
