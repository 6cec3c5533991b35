-- Measures of user_item_topk, one row; expectations/user_item_topk.json says what they must be.
WITH by_user AS (
    SELECT user_id, list("rank" ORDER BY "rank") AS ranks, list(score ORDER BY "rank") AS scores,
        count(*) - count(DISTINCT item_id) AS repeated
    FROM user_item_topk GROUP BY user_id
), quotes AS (
    SELECT t.item_id, e.kind, e.ref, e."start" AS first, e."end" AS last, e.quote
    FROM (SELECT DISTINCT item_id, persona_id, unnest(evidence) AS e FROM user_item_topk) t
), seen AS (
    SELECT user_id, item_id FROM reviews
    UNION SELECT user_id, item_id FROM interactions WHERE abs(weight) >= $seen_weight
), eligible AS (
    SELECT DISTINCT item_id FROM persona_vectors SEMI JOIN (SELECT item_id FROM items WHERE available) USING (item_id)
), reviewed AS (
    SELECT user_id, count(DISTINCT item_id) * $exclude_reviewed::INTEGER AS items
    FROM seen SEMI JOIN eligible USING (item_id) GROUP BY user_id
), candidate AS (
    SELECT user_id, item_id FROM candidates WHERE $only_candidates::BOOLEAN
), usable AS (
    SELECT candidate.user_id, count(*) AS candidates
    FROM (candidate SEMI JOIN eligible USING (item_id))
    LEFT JOIN (SELECT user_id, item_id, true AS met FROM seen WHERE $exclude_reviewed::BOOLEAN) AS r USING (user_id, item_id)
    WHERE met IS NULL GROUP BY candidate.user_id
), capped AS (
    SELECT CASE WHEN $max_per_category > 0
        THEN categories[CASE $category_level WHEN 0 THEN len(categories) ELSE least($category_level, len(categories)) END]
        WHEN $max_per_creator > 0 THEN nullif(creator, '') END AS name, count(*) AS items
    FROM items SEMI JOIN eligible USING (item_id) GROUP BY name
), room AS (
    SELECT sum(CASE WHEN name IS NULL THEN items ELSE least(items, greatest($max_per_category, $max_per_creator)) END) AS items
    FROM capped
), lengths AS (
    SELECT len(ranks) AS found, least($k, coalesce(candidates, (SELECT items FROM room) - coalesce(reviewed.items, 0))) AS wanted
    -- How long a list can be under two caps, of candidates under one, or for somebody who blocks, takes a ranking to say.
    FROM by_user ANTI JOIN blocks USING (user_id) LEFT JOIN reviewed USING (user_id) LEFT JOIN usable USING (user_id)
    WHERE $max_per_category + $max_per_creator = 0 OR (least($max_per_category, $max_per_creator) = 0 AND candidates IS NULL)
), listed AS (
    SELECT user_id, item_id, creator, categories FROM user_item_topk JOIN items USING (item_id)
), of_category AS (
    SELECT count(*) AS taken FROM listed WHERE len(categories) > 0
    GROUP BY user_id, categories[CASE $category_level WHEN 0 THEN len(categories) ELSE least($category_level, len(categories)) END]
), of_creator AS (
    SELECT count(*) AS taken FROM listed WHERE creator <> '' GROUP BY user_id, creator
), unwanted AS (
    SELECT user_id, item_id FROM listed JOIN blocks USING (user_id)
    WHERE (kind = 'item' AND value = item_id) OR (kind = 'creator' AND value = creator)
        OR (kind = 'category' AND list_contains(categories, value))
), mine AS (
    SELECT user_id, list(item_id) AS items FROM user_item_topk GROUP BY user_id
), parents AS (
    SELECT user_id, list(item_id) AS items FROM parent_user_item_topk GROUP BY user_id
), kept AS (
    -- Of the shorter list, so that another k replaces nothing by itself.
    SELECT len(list_intersect(mine.items, parents.items)) / least(len(mine.items), len(parents.items)) AS share
    FROM mine JOIN parents USING (user_id)
), quantiles AS (
    SELECT (SELECT quantile_cont(score, [0.1, 0.5, 0.9]) FROM user_item_topk) AS q,
        (SELECT quantile_cont(score, [0.1, 0.5, 0.9]) FROM parent_user_item_topk) AS p
), recommended AS (
    SELECT (SELECT count(DISTINCT item_id) FROM user_item_topk) AS items,
        (SELECT count(DISTINCT item_id) FROM parent_user_item_topk) AS parents
)
SELECT
    (SELECT count(*) FROM by_user) / (SELECT greatest(count(*), 1) FROM user_vectors) AS user_coverage,
    (SELECT count(*) FROM by_user WHERE ranks <> range(1, len(ranks) + 1)) AS ranks_broken,
    (SELECT count(*) FROM by_user WHERE scores <> list_reverse_sort(scores)) AS scores_rising,
    (SELECT sum(repeated) FROM by_user) AS repeated_items,
    (SELECT count(*) FILTER (found < wanted) / greatest(count(*), 1) FROM lengths) AS short_lists,
    (SELECT count(*) FROM user_item_topk SEMI JOIN candidate USING (user_id) ANTI JOIN candidate USING (user_id, item_id))
        AS outside_candidates,
    (SELECT count(*) FROM user_item_topk SEMI JOIN seen USING (user_id, item_id)) * $exclude_reviewed::INTEGER AS already_reviewed,
    (SELECT count(*) FROM user_item_topk
        WHERE abs(score - list_sum(list_transform(contributions, lambda c: c.share))) > 1e-8) AS contributions_off,
    (SELECT count(*) FROM user_item_topk ANTI JOIN (SELECT * FROM item_personas WHERE status = 'current') USING (persona_id, item_id))
        AS unknown_personas,
    (SELECT count(*) FROM user_item_topk ANTI JOIN items USING (item_id)) AS unknown_items,
    (SELECT count(*) FROM user_item_topk SEMI JOIN (SELECT item_id FROM items WHERE NOT available) USING (item_id)) AS not_available,
    (SELECT count(DISTINCT (user_id, item_id)) FROM unwanted) AS blocked,
    (SELECT count(*) FROM of_category WHERE $max_per_category > 0 AND taken > $max_per_category) AS over_category_cap,
    (SELECT count(*) FROM of_creator WHERE $max_per_creator > 0 AND taken > $max_per_creator) AS over_creator_cap,
    (SELECT count(*) FROM user_item_topk SEMI JOIN (SELECT * FROM item_personas WHERE stance = 'dislikes') USING (persona_id))
        AS explained_by_critics,
    (SELECT count(*) FROM quotes LEFT JOIN reviews ON review_id = ref
        WHERE kind = 'review' AND substring(text, first + 1, last - first) IS DISTINCT FROM quote) AS evidence_not_found,
    (SELECT count(*) FROM user_item_topk WHERE explanation = '') AS unexplained,
    (SELECT count(*) FROM user_item_topk
        WHERE length(explanation) > 600 OR regexp_matches(explanation, '[<>"''`[:cntrl:]]')) AS unsafe_explanations,
    (SELECT items / (SELECT greatest(count(*), 1) FROM eligible) FROM recommended) AS item_coverage,
    (SELECT count(*) FILTER (share < 1) / greatest(count(*), 1) FROM kept) AS changed_lists,
    (SELECT 1 - avg(share) FROM kept) AS replaced,
    (SELECT list_max(list_transform([1, 2, 3], lambda i: abs(q[i] - p[i]))) / greatest(p[3] - p[1], 1e-9) FROM quantiles)
        AS score_shift,
    (SELECT count(*) FROM parents ANTI JOIN mine USING (user_id)) / (SELECT greatest(count(*), 1) FROM parents) AS lost_users,
    (SELECT greatest(1 - items / parents, 0) FROM recommended WHERE parents > 0) AS fewer_items
