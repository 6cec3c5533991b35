-- Measures of input_files, one row; expectations/input_files.json says what they must be.
SELECT
    count(*) + (SELECT least(count(*), 1) FROM interactions) AS files,  -- a night may be of events alone
    count(*) FILTER (refused + erased > records) AS unaccounted,
    (SELECT count(DISTINCT source_file) FROM reviews WHERE source_file NOT IN (SELECT name FROM input_files))
        + (SELECT count(DISTINCT source_file) FROM rejected_reviews
           WHERE input = 'reviews' AND source_file NOT IN (SELECT name FROM input_files)) AS records_kept_nowhere
FROM input_files
