-- Measures of text_embeddings, one row; expectations/text_embeddings.json says what they must be.
SELECT
    count(*) FILTER (abs(sqrt(list_dot_product(vector, vector)) - 1) > 1e-3) AS not_unit_length,
    count(DISTINCT len(vector)) - count(DISTINCT base_model) AS extra_dimensions,
    count(*) - count(DISTINCT (base_model, text_hash)) AS embedded_twice
FROM text_embeddings
