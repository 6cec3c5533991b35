-- Measures of item_personas, one row; expectations/item_personas.json says what they must be.
WITH now AS (SELECT * FROM item_personas WHERE status = 'current'),
quotes AS (SELECT persona_id, item_id, unnest(evidence, recursive := true) FROM now),
sources AS (
    SELECT quotes.*, CASE WHEN kind = 'review' THEN reviews.text WHEN ref = 'title' THEN items.title
        WHEN ref = 'description' THEN items.description END AS source
    FROM quotes LEFT JOIN reviews ON kind = 'review' AND review_id = ref AND reviews.item_id = quotes.item_id
    LEFT JOIN items ON kind = 'metadata' AND items.item_id = quotes.item_id
)
SELECT
    (SELECT count(*) FROM now) AS current,
    (SELECT max(n) FROM (SELECT count(*) AS n FROM now GROUP BY item_id)) AS most_per_item,
    (SELECT count(*) FROM now ANTI JOIN items USING (item_id)) AS of_unknown_items,
    (SELECT count(*) FROM now WHERE len(evidence) = 0) AS without_evidence,
    (SELECT count(*) FROM sources WHERE substring(source, "start" + 1, "end" - "start") IS DISTINCT FROM quote)
        AS evidence_not_found,
    (SELECT count(*) - count(DISTINCT (item_id, name)) FROM now) AS names_repeated_in_item,
    (SELECT count(*) FROM (SELECT list_sort(list("position")) AS p FROM now GROUP BY item_id)
        WHERE p <> range(1, len(p) + 1)) AS positions_broken,
    (SELECT count(*) FROM (SELECT item_id FROM now GROUP BY item_id HAVING bool_and(stance = 'dislikes'))) AS critics_alone,
    (SELECT count(*) FROM (
        SELECT max("position") FILTER (stance <> 'dislikes') AS last, min("position") FILTER (stance = 'dislikes') AS first
        FROM now GROUP BY item_id) WHERE first < last) AS critics_first,
    (SELECT count(DISTINCT item_id) FROM items SEMI JOIN now USING (item_id)) / (SELECT count(*) FROM items) AS item_coverage
