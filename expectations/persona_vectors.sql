-- Measures of persona_vectors, one row; expectations/persona_vectors.json says what they must be.
SELECT
    count(*) FILTER (abs(sqrt(list_dot_product(vector, vector)) - 1) > 1e-3) AS not_unit_length,
    (SELECT count(*) FROM (SELECT * FROM item_personas WHERE status = 'current' AND stance <> 'dislikes') ANTI JOIN persona_vectors USING (persona_id, item_id))
        AS missing_personas,
    count(DISTINCT encoder_id) AS encoders
FROM persona_vectors
