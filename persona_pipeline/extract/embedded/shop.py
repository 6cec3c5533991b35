"""Learn the topics and goods of a shop's reviews from `review_aspects` and `item_reviews`, instead of listing them.

A noun is a topic where opinions of it are spread over several items and are not only attributive ("great job" is an
idiom, "the job is great" is none), and where it does not name the goods themselves ("this strap").
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from persona_pipeline.extract.embedded.lexicon import load_lexicon
from persona_pipeline.extract.embedded.words import singular, tokens
from persona_pipeline.extract.types import AspectQuote
from persona_pipeline.warehouse import Warehouse

ITEMS = 3
"""Items at least whose reviewers have an opinion of a topic."""
STATEMENTS, STATED = 2, 0.12
"""Opinions at least that are put as a statement, and as a share of all of the topic."""
POINTED_AT = 0.2
"""Share of "this" and "these" before a noun, among the definite words before it, from which on it is what is sold."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Topics and goods of a shop.

    Attributes:
        topics: nouns (base forms) with the form they are shown in: character, characters.
        goods: nouns (base forms) that name the items sold.
    """

    topics: dict[str, str] = field(default_factory=dict)
    goods: frozenset[str] = frozenset()


def read_shop(warehouse: Warehouse) -> Shop:
    """Learn from all aspects extracted so far. One pass over each table, in DuckDB; memory by distinct nouns."""
    opinions = warehouse.query(
        """
        SELECT q.topic AS topic, count(DISTINCT item_id) AS items, count(*) AS opinions,
               count(*) FILTER (q.form = 'statement') AS statements
        FROM (SELECT item_id, unnest(evidence) AS q FROM review_aspects)
        WHERE q.form IN ('attribute', 'statement') GROUP BY q.topic ORDER BY q.topic
        """,
        ["review_aspects"],
    )
    pointed = warehouse.query(
        r"""
        SELECT phrase, count(*) AS uses FROM (
            SELECT unnest(regexp_extract_all(lower(e.text), '\b(?:this|these|the|its|their)\s+[a-z]+')) AS phrase
            FROM (SELECT unnest(evidence) AS e FROM item_reviews)
        ) GROUP BY phrase ORDER BY phrase
        """,
        ["item_reviews"],
    )
    return shop_of(opinions.to_pylist(), zip(*(pointed[c].to_pylist() for c in ("phrase", "uses")), strict=True))


def shop_of_item(remarks: Iterable[AspectQuote]) -> Shop:
    """Topics of one item's reviews: every noun with an opinion except general ones, in its most frequent form."""
    lexicon = load_lexicon().lexicon
    general, senses = lexicon.general_nouns, set(lexicon.senses.values())
    shown: dict[str, Counter[str]] = {}
    for remark in remarks:
        topic = remark.topic or ""
        *before, head = topic.split() or [""]
        base = singular(head)
        if remark.form in ("attribute", "statement") and base.isalpha() and not {topic, base} & general:
            # "It sounds great" has no sounds.
            forms = [] if topic in senses else [word for word in tokens(remark.quote) if singular(word) == base]
            shown.setdefault(topic, Counter())[" ".join([*before, *(forms[:1] or [head])])] += 1
    return Shop({topic: min(forms, key=lambda form: (-forms[form], form)) for topic, forms in shown.items()})


def shop_of(opinions: Iterable[dict[str, int | str]], phrases: Iterable[tuple[str, int]]) -> Shop:
    """Build a shop from counts: of opinions by topic, and of nouns after a definite word."""
    this, that, shown = dict[str, int](), dict[str, int](), dict[str, dict[str, int]]()
    for phrase, uses in phrases:
        word, noun = phrase.split()
        base = singular(noun)
        counts = this if word in ("this", "these") else that
        counts[base] = counts.get(base, 0) + uses
        if counts is that:
            shown.setdefault(base, {})[noun] = shown.get(base, {}).get(noun, 0) + uses
    goods = frozenset(noun for noun, n in this.items() if n >= POINTED_AT * (n + that.get(noun, 0)))
    general = load_lexicon().lexicon.general_nouns
    topics = {}
    for row in opinions:
        topic, n = str(row["topic"]), int(row["opinions"])
        head = singular(topic.split()[-1])
        spread = int(row["items"]) >= ITEMS
        stated = int(row["statements"]) >= max(STATEMENTS, STATED * n)
        if spread and stated and head.isalpha() and head not in goods and not {topic, head} & general:
            forms = shown.get(head, {head: 1})
            most = min(forms, key=lambda form: (-forms[form], form))
            topics[topic] = " ".join([*topic.split()[:-1], most])
    return Shop(topics, goods)
