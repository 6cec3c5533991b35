-- Measures of item_reviews, one row; expectations/item_reviews.json says what they must be.
WITH evidence AS (SELECT item_id, unnest(evidence, recursive := true) FROM item_reviews)
SELECT
    (SELECT count(*) FROM items ANTI JOIN item_reviews USING (item_id)) AS missing_items,
    (SELECT max(len(evidence)) FROM item_reviews) AS most_evidence,
    (SELECT count(*) FROM evidence ANTI JOIN reviews USING (review_id, item_id, user_id, text)) AS not_in_reviews
