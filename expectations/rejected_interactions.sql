-- Measures of rejected_interactions, one row; expectations/rejected_interactions.json says what they must be.
SELECT
    count(*) FILTER (reason NOT IN ('not_json', 'not_python_literal', 'not_csv', 'missing_user_id', 'missing_item_id',
        'missing_timestamp', 'missing_rating', 'bad_user_id', 'bad_item_id', 'bad_timestamp', 'bad_rating', 'bad_kind',
        'bad_weight', 'bad_interaction_id', 'unknown_kind', 'duplicate_id', 'unrated', 'copy', 'edited')) AS unknown_reasons,
    count(*) FILTER (source_line < 1) AS without_line
FROM rejected_interactions
