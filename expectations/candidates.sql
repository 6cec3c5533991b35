-- Measures of candidates, one row; expectations/candidates.json says what they must be.
WITH by_user AS (SELECT user_id, list("rank" ORDER BY "rank") AS ranks FROM candidates GROUP BY user_id)
SELECT
    (SELECT count(*) FROM by_user WHERE ranks <> range(1, len(ranks) + 1)) AS ranks_broken,
    (SELECT count(*) FROM candidates ANTI JOIN user_histories USING (user_id)) AS unknown_users,
    (SELECT count(*) FROM candidates ANTI JOIN items USING (item_id)) AS unknown_items
