-- Measures of rejected_reviews, one row; expectations/rejected_reviews.json says what they must be.
SELECT
    count(*) FILTER (reason NOT IN ('not_json', 'not_python_literal', 'not_csv', 'missing_user_id', 'missing_item_id',
        'missing_rating', 'missing_timestamp', 'bad_user_id', 'bad_item_id', 'bad_review_id', 'bad_rating', 'bad_timestamp',
        'duplicate_id', 'unrated', 'copy', 'edited', 'repeated')) AS unknown_reasons,
    count(*) FILTER (source_line < 1) AS without_line,
    count(*) FILTER (regexp_matches(detail, '[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}')) AS unmasked_addresses
FROM rejected_reviews
