-- Measures of releases, one row; expectations/releases.json says what they must be.
SELECT
    count(*) FILTER (verdict NOT IN ('published', 'refused', 'accepted', 'superseded', 'rolled_back')) AS unknown_verdicts,
    count(*) FILTER (verdict = 'published') - count(DISTINCT as_of) FILTER (verdict = 'published') AS published_twice
FROM releases
