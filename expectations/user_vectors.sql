-- Measures of user_vectors, one row; expectations/user_vectors.json says what they must be.
SELECT
    count(*) AS rows,
    count(*) FILTER (abs(sqrt(list_dot_product(vector, vector)) - 1) > 1e-3) AS not_unit_length,
    (SELECT count(*) FROM user_vectors ANTI JOIN user_histories USING (user_id)) AS unknown_users,
    count(DISTINCT encoder_id) AS encoders
FROM user_vectors
