-- Measures of reviews, one row; expectations/reviews.json says what they must be.
SELECT
    count(*) AS rows,
    count(*) + (SELECT count(*) FROM interactions) AS reviews_or_events,
    count(*) FILTER (reviewed_at >= $as_of::DATE) AS not_before_as_of,
    count(*) FILTER (NOT rating BETWEEN 1 AND 5) AS ratings_out_of_range,
    count(*) - count(DISTINCT (user_id, item_id)) AS repeated_by_user_and_item,
    count(*) FILTER (regexp_matches(text, '[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}')) AS unmasked_addresses,
    date_diff('hour', max(reviewed_at), $as_of::DATE::TIMESTAMPTZ) / 24 AS stale_days,
    greatest(0, 1 - count(*) / nullif((SELECT count(*) FROM parent_reviews), 0)) AS fewer_reviews,
    count(*) FILTER (text = '') / count(*)
        - (SELECT count(*) FILTER (text = '') / nullif(count(*), 0) FROM parent_reviews) AS more_empty_texts
FROM reviews
