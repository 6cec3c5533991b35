-- Measures of interactions, one row; expectations/interactions.json says what they must be.
SELECT
    (SELECT date_diff('hour', max(occurred_at), $as_of::DATE::TIMESTAMPTZ) / 24 FROM interactions) AS stale_days,
    (SELECT count(*) FROM interactions WHERE NOT (weight >= -1 AND weight <= 1)) AS weights_off,
    (SELECT count(*) FROM interactions WHERE occurred_at AT TIME ZONE 'UTC' >= $as_of::DATE) AS not_yet,
    (SELECT count(*) FROM interactions WHERE NOT starts_with(interaction_id, 'event:')) AS not_events,
    (SELECT count(*) FROM interactions SEMI JOIN (SELECT review_id AS interaction_id FROM reviews) USING (interaction_id))
        AS ids_of_reviews,
    (SELECT greatest(0, 1 - count(*) / nullif((SELECT count(*) FROM parent_interactions), 0)) FROM interactions) AS fewer_events
