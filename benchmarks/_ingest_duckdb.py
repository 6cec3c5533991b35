"""The peer of ingest.py: the same cleaning, checks, de-duplication and aggregation in DuckDB's SQL, in a process of its own.

What its expressions cannot say as we do: regular expressions without look-around, so phone numbers end at a word's
boundary; the dozen entities that reviews are full of; tags and characters by the same classes. Tables are Parquet.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

_ENTITIES = {"&nbsp;": " ", "&#160;": " ", "&quot;": '"', "&#34;": '"', "&#x22;": '"', "&apos;": "'", "&#39;": "'",
             "&#x27;": "'", "&lt;": "<", "&gt;": ">", "&#38;": "&", "&amp;": "&"}  # fmt: skip
_EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
_PHONE = r"(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\b\d{3}[ .-])\d{3}[ .-]\d{4}\b|\+\d{1,3}(?:[ .-]?\d{2,4}){3,4}\b"
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\p{Cf}\p{Co}]"
_FIELDS = ("review_id", "user_id", "item_id", "rating", "title", "text", "timestamp")
_LINES = """
    SELECT parse_filename(filename) AS source_file, n - min(n) OVER (PARTITION BY filename) + 1 AS source_line, line
    FROM (SELECT line, filename, row_number() OVER () AS n FROM read_csv({files}, delim = e'\\x01', quote = '', escape = '',
          header = false, auto_detect = false, columns = {{'line': 'VARCHAR'}}, filename = true, max_line_size = 10000000))
    WHERE trim(line) <> ''"""


def main(reviews: Path, items: Path, out: Path, as_of: str, threads: int, memory: str) -> dict[str, object]:
    """Seconds by stage and counts; the tables are in the folder `out`."""
    con = duckdb.connect(config={"threads": threads, "memory_limit": memory, "temp_directory": str(out / "spill")})
    con.execute(f"CREATE MACRO mask(t) AS {_masked('t')}")
    con.execute(f"CREATE MACRO clean(t) AS {_cleaned('t')}")
    stages: dict[str, Callable[[], None]] = {
        "reviews": lambda: ingest(con, reviews, items, out, as_of),
        "item_reviews": lambda: item_reviews(con, out),
        "user_histories": lambda: user_histories(con, out),
    }
    seconds = {}
    for name, stage in stages.items():
        began = time.perf_counter()
        stage()
        seconds[name] = time.perf_counter() - began
    counts = {name: _one(con, f"SELECT count(*) FROM '{out}/{name}.parquet'") for name in stages}
    evidence = _one(con, f"SELECT sum(len(evidence)) FROM '{out}/item_reviews.parquet'")
    return {"seconds": seconds, "rows": counts, "evidence": evidence}


def ingest(con: duckdb.DuckDBPyConnection, reviews: Path, items: Path, out: Path, as_of: str) -> None:
    """Lines to reviews, items and rejected_reviews."""
    values = ", ".join(f"nullif(trim(r.{name}), '') AS {name}" for name in _FIELDS)
    structure = json.dumps(dict.fromkeys(_FIELDS, "VARCHAR"))
    con.execute(f"""
        CREATE TEMP TABLE judged AS
        WITH lines AS ({_LINES.format(files=f"'{reviews}/*.jsonl'")}),
        parsed AS (SELECT *, CASE WHEN json_valid(line) THEN from_json(line, '{structure}') END AS r FROM lines),
        fields AS (SELECT source_file, source_line, line, r IS NULL AS broken, {values} FROM parsed),
        typed AS (SELECT *, try_cast(rating AS DOUBLE) AS stars,
                  CASE WHEN regexp_full_match(timestamp, '\\d{{1,11}}') THEN make_timestamp(timestamp::BIGINT * 1000000)
                       ELSE try_cast(timestamp AS TIMESTAMP) END AS reviewed_at FROM fields)
        SELECT source_file, source_line,
               CASE WHEN broken THEN 'not_json' WHEN user_id IS NULL THEN 'missing_user_id'
                    WHEN item_id IS NULL THEN 'missing_item_id' WHEN rating IS NULL THEN 'missing_rating'
                    WHEN stars IS NULL OR stars NOT BETWEEN 1 AND 5 THEN 'bad_rating'
                    WHEN timestamp IS NULL THEN 'missing_timestamp' WHEN reviewed_at IS NULL THEN 'bad_timestamp' END AS reason,
               coalesce(review_id, sha256(concat_ws(chr(31), user_id, item_id, timestamp, text))[:16]) AS review_id,
               user_id, item_id, stars AS rating, clean(title) AS title, coalesce(clean(text), '') AS text, reviewed_at,
               CASE WHEN reason IS NOT NULL THEN mask(line)[:2000] END AS line
        FROM typed WHERE reason IS NOT NULL OR reviewed_at < '{as_of}'""")
    con.execute("""
        CREATE TEMP TABLE repeats AS
        WITH valid AS (SELECT source_file, source_line, review_id, user_id, item_id, reviewed_at,
                       hash(rating, title, text, reviewed_at) AS says FROM judged WHERE reason IS NULL),
        owned AS (SELECT *, first_value(hash(user_id, item_id)) OVER (PARTITION BY review_id ORDER BY source_file, source_line)
                  <> hash(user_id, item_id) AS clash FROM valid),
        told AS (SELECT *, first_value(says) OVER (PARTITION BY review_id, clash
                           ORDER BY reviewed_at DESC, source_file DESC, source_line DESC) <> says AS older,
                 row_number() OVER (PARTITION BY review_id, clash, says ORDER BY source_file, source_line) > 1 AS again FROM owned),
        of_id AS (SELECT *, CASE WHEN clash THEN 'duplicate_id' WHEN older THEN 'edited' WHEN again THEN 'copy' END AS why
                  FROM told)
        SELECT source_file, source_line, coalesce(why, CASE WHEN row_number() OVER (PARTITION BY user_id, item_id, why IS NULL
               ORDER BY reviewed_at DESC, source_file DESC, source_line DESC) > 1 THEN 'edited' END) AS repeat
        FROM of_id QUALIFY repeat IS NOT NULL""")
    kept = "review_id, user_id, item_id, rating, title, text, reviewed_at, source_file, source_line"
    con.execute(f"""COPY (SELECT {kept} FROM judged ANTI JOIN repeats USING (source_file, source_line) WHERE reason IS NULL)
        TO '{out}/reviews.parquet'""")
    con.execute(f"""COPY (SELECT source_file, source_line, coalesce(reason, repeat) AS reason, coalesce(line, mask(text)) AS line
        FROM judged LEFT JOIN repeats USING (source_file, source_line) WHERE coalesce(reason, repeat) IS NOT NULL)
        TO '{out}/rejected_reviews.parquet'""")
    con.execute(f"""COPY (
        WITH told AS (SELECT item_id, clean(title) AS title, clean(creator) AS creator, categories, clean(description) AS about
             FROM read_json('{items}', columns = {{item_id: 'VARCHAR', title: 'VARCHAR', creator: 'VARCHAR',
                            categories: 'VARCHAR[]', description: 'VARCHAR'}}))
        FROM told UNION ALL BY NAME
        SELECT DISTINCT item_id FROM '{out}/reviews.parquet' ANTI JOIN told USING (item_id)) TO '{out}/items.parquet'""")
    con.execute("DROP TABLE judged; DROP TABLE repeats")


def item_reviews(con: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Sixty evidence reviews an item, as `aggregate.item_reviews` chooses them, halves to the row."""
    con.execute(f"""COPY (
        WITH told AS (SELECT item_id, review_id, reviewed_at,
                      least(length(text) - length(replace(text, ' ', '')) + 1, 120) AS words,
                      CASE WHEN rating <= 2 THEN 0 WHEN rating < 4 THEN 1 ELSE 2 END AS kind FROM '{out}/reviews.parquet'
                      WHERE text <> ''),
        halves AS (SELECT *, ntile(2) OVER (PARTITION BY item_id ORDER BY reviewed_at, review_id) AS half FROM told),
        placed AS (SELECT *, (row_number() OVER (PARTITION BY item_id, kind, half ORDER BY words DESC, reviewed_at DESC, review_id)
                   - 0.5) / sqrt(count(*) OVER (PARTITION BY item_id, kind, half)) AS turn FROM halves),
        chosen AS (SELECT review_id, row_number() OVER (PARTITION BY item_id ORDER BY turn, words DESC, review_id) AS usefulness
                   FROM placed QUALIFY usefulness <= 60),
        evidence AS (SELECT item_id, list(struct_pack(review_id, user_id, rating, reviewed_at, title, text) ORDER BY usefulness)
                     AS evidence FROM '{out}/reviews.parquet' JOIN chosen USING (review_id) GROUP BY item_id),
        counted AS (SELECT item_id, count(*) AS review_count, round(avg(rating), 6) AS mean_rating, max(reviewed_at) AS last
                    FROM '{out}/reviews.parquet' GROUP BY item_id)
        SELECT item_id, coalesce(review_count, 0) AS review_count, mean_rating, last, coalesce(evidence, []) AS evidence
        FROM (SELECT item_id FROM '{out}/items.parquet') LEFT JOIN counted USING (item_id) LEFT JOIN evidence USING (item_id))
        TO '{out}/item_reviews.parquet'""")


def user_histories(con: duckdb.DuckDBPyConnection, out: Path) -> None:
    """The twenty most recent reviews of every user, and all they reviewed."""
    con.execute(f"""COPY (
        WITH ranked AS (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY reviewed_at DESC, source_file DESC,
                        source_line DESC) AS recency FROM '{out}/reviews.parquet')
        SELECT user_id, count(*) AS interaction_count,
               list(struct_pack(review_id, item_id, rating, reviewed_at) ORDER BY recency) FILTER (recency <= 20) AS interactions,
               list_sort(list(DISTINCT item_id)) AS reviewed_item_ids
        FROM ranked GROUP BY user_id) TO '{out}/user_histories.parquet'""")


def _masked(text: str) -> str:
    return f"regexp_replace(regexp_replace({text}, '{_EMAIL}', '[email]', 'g'), '{_PHONE}', '[phone]', 'g')"


def _cleaned(text: str) -> str:
    for entity, character in _ENTITIES.items():
        text = f"replace({text}, '{entity}', '{character.replace(chr(39), chr(39) * 2)}')"
    text = f"regexp_replace({text}, '(?is)<(script|style)\\b.*?</(script|style)>', ' ', 'g')"
    text = f"regexp_replace({text}, '</?[A-Za-z][^<>]{{0,300}}>|<!--.*?-->', ' ', 'g')"
    text = f"regexp_replace({text}, '{_CONTROL}', '', 'g')"
    text = f"nfc_normalize(trim(regexp_replace({text}, '[\\s\\x{{00a0}}]+', ' ', 'g')))"
    masked = _masked(text)
    cut = f"CASE WHEN length({masked}) > 8000 THEN regexp_replace(({masked})[:8000], ' [^ ]*$', '') ELSE {masked} END"
    return f"nullif({cut}, '')"


def _one(con: duckdb.DuckDBPyConnection, query: str) -> int:
    found = con.execute(query).fetchone()
    assert found is not None
    return int(found[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("reviews", "items", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--as-of", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--memory", default="8GB")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(main(given.reviews, given.items, given.out, given.as_of, given.threads, given.memory)))
