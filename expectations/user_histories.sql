-- Measures of user_histories, one row; expectations/user_histories.json says what they must be.
WITH interactions AS (SELECT user_id, unnest(interactions, recursive := true) FROM user_histories)
SELECT
    (SELECT count(DISTINCT user_id) FROM reviews ANTI JOIN user_histories USING (user_id)) AS missing_users,
    (SELECT count(*) FROM interactions ANTI JOIN reviews USING (review_id, user_id, item_id)) AS not_in_reviews,
    (SELECT count(*) FROM user_histories WHERE list_transform(interactions, lambda i: i.reviewed_at)
        IS DISTINCT FROM list_reverse_sort(list_transform(interactions, lambda i: i.reviewed_at))) AS out_of_order
