-- Measures of rejected_reviews, one row; expectations/rejected_reviews.json says what they must be.
SELECT
    count(*) FILTER (reason NOT IN ('not_json', 'missing_user_id', 'missing_item_id', 'missing_rating', 'bad_rating',
        'missing_timestamp', 'bad_timestamp', 'duplicate_id', 'copy', 'edited', 'repeated')) AS unknown_reasons,
    count(*) FILTER (source_line < 1) AS without_line,
    count(*) FILTER (regexp_matches(text, '[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}')) AS unmasked_addresses
FROM rejected_reviews
