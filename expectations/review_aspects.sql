-- Measures of review_aspects, one row; expectations/review_aspects.json says what they must be.
WITH quotes AS (SELECT review_id, unnest(evidence, recursive := true) FROM review_aspects)
SELECT
    (SELECT count(*) FROM (SELECT unnest(evidence).review_id AS review_id FROM item_reviews)
        ANTI JOIN review_aspects USING (review_id)
        -- An LLM that is asked per cluster reads no aspects at all.
        WHERE EXISTS (FROM review_aspects) OR NOT EXISTS (FROM item_personas WHERE persona_source = 'llm')
    ) AS missing_reviews,
    (SELECT count(*) FROM quotes LEFT JOIN reviews USING (review_id)
        WHERE substring(reviews.text, "start" + 1, "end" - "start") IS DISTINCT FROM quote) AS quotes_not_in_review
