-- Measures of default_topk, one row; expectations/default_topk.json says what they must be.
SELECT
    count(*) AS rows,
    count(*) FILTER ("rank" NOT BETWEEN 1 AND (SELECT count(*) FROM default_topk)) AS ranks_broken,
    (SELECT count(*) FROM default_topk ANTI JOIN items USING (item_id)) AS unknown_items,
    (SELECT count(*) FROM default_topk SEMI JOIN (SELECT * FROM item_personas WHERE stance = 'dislikes') USING (persona_id))
        AS explained_by_critics
FROM default_topk
