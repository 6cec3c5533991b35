-- Measures of training_pairs, one row; expectations/training_pairs.json says what they must be.
WITH histories AS (SELECT user_id, item_id, unnest(history_interaction_ids) AS interaction_id FROM training_pairs),
known AS (
    SELECT review_id AS interaction_id, user_id, item_id FROM reviews
    UNION ALL SELECT interaction_id, user_id, item_id FROM interactions
)
SELECT
    (SELECT count(*) FROM training_pairs WHERE len(history_interaction_ids) = 0) AS without_history,
    (SELECT count(*) FROM histories h JOIN known r USING (interaction_id) WHERE h.user_id <> r.user_id) AS history_of_another,
    (SELECT count(*) FROM histories h JOIN known r USING (interaction_id) WHERE h.item_id = r.item_id) AS target_in_history,
    (SELECT count(*) FROM training_pairs WHERE NOT (weight > 0 AND weight <= 1)) AS not_liked,
    (SELECT count(*) FROM training_pairs WHERE list_contains(masked_persona_ids, persona_id)) AS masked_labels,
    (SELECT count(*) FROM training_pairs ANTI JOIN (SELECT * FROM item_personas WHERE status = 'current') USING (persona_id, item_id))
        AS unknown_personas
