-- Measures of parsed_reviews, one row; expectations/parsed_reviews.json says what they must be.
SELECT count(*) FILTER ((reason IS NULL) <> (review_id IS NOT NULL)) AS half_refused
FROM parsed_reviews
