-- Measures of user_histories, one row; expectations/user_histories.json says what they must be.
WITH histories AS (SELECT user_id, unnest(interactions, recursive := true) FROM user_histories),
known AS (
    SELECT review_id AS interaction_id, user_id, item_id FROM reviews
    UNION ALL SELECT interaction_id, user_id, item_id FROM interactions
)
SELECT
    (SELECT count(DISTINCT user_id) FROM known ANTI JOIN user_histories USING (user_id)) AS missing_users,
    (SELECT count(*) FROM histories ANTI JOIN known USING (interaction_id, user_id, item_id)) AS not_in_reviews,
    (SELECT count(*) FROM histories h SEMI JOIN reviews USING (user_id, item_id) WHERE h.review_id IS NULL) AS review_outdone,
    (SELECT count(*) FROM user_histories WHERE list_transform(interactions, lambda i: i.reviewed_at)
        IS DISTINCT FROM list_reverse_sort(list_transform(interactions, lambda i: i.reviewed_at))) AS out_of_order
