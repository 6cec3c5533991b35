-- Measures of persona_choices, one row; expectations/persona_choices.json says what they must be.
WITH quotes AS (
    SELECT persona_id, list_distinct(list_transform(list_filter(evidence, lambda e: e.kind = 'review'), lambda e: e.ref)) AS quoted
    FROM item_personas
)
SELECT
    (SELECT count(*) FROM persona_choices ANTI JOIN reviews USING (review_id, user_id, item_id)) AS not_in_reviews,
    (SELECT count(*) FROM persona_choices ANTI JOIN (SELECT * FROM item_personas WHERE status = 'current') USING (persona_id, item_id))
        AS unknown_personas,
    (SELECT count(*) FROM persona_choices JOIN quotes USING (persona_id) WHERE quoted = [review_id]) AS masked_choices
