-- Measures of default_topk, one row; expectations/default_topk.json says what they must be.
WITH listed AS (
    SELECT item_id, creator, categories, available FROM default_topk JOIN items USING (item_id)
), of_category AS (
    SELECT count(*) AS taken FROM listed WHERE len(categories) > 0
    GROUP BY categories[CASE $category_level WHEN 0 THEN len(categories) ELSE least($category_level, len(categories)) END]
), of_creator AS (
    SELECT count(*) AS taken FROM listed WHERE creator <> '' GROUP BY creator
)
SELECT
    count(*) AS rows,
    count(*) FILTER ("rank" NOT BETWEEN 1 AND (SELECT count(*) FROM default_topk)) AS ranks_broken,
    (SELECT count(*) FROM default_topk ANTI JOIN items USING (item_id)) AS unknown_items,
    (SELECT count(*) FROM listed WHERE NOT available) AS not_available,
    (SELECT count(*) FROM of_category WHERE $max_per_category > 0 AND taken > $max_per_category) AS over_category_cap,
    (SELECT count(*) FROM of_creator WHERE $max_per_creator > 0 AND taken > $max_per_creator) AS over_creator_cap,
    (SELECT count(*) FROM default_topk SEMI JOIN (SELECT * FROM item_personas WHERE stance = 'dislikes') USING (persona_id))
        AS explained_by_critics
FROM default_topk
