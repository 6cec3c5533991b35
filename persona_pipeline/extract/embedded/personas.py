"""Group an item's remarks into personas: topics that at least two people praise (or fault) and none of them denies.

A persona's text follows from its quotes: each contains the topic, and the words the text repeats. The number of
people behind it is in `support` alone.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from persona_pipeline.extract.embedded.grammar import SPOKEN_OF
from persona_pipeline.extract.embedded.lexicon import Lexicon, load_lexicon
from persona_pipeline.extract.embedded.shop import Shop
from persona_pipeline.extract.embedded.words import singular, tokens
from persona_pipeline.extract.readable import same_words, unreadability
from persona_pipeline.extract.types import AspectQuote, ItemEvidence, Persona, Quote, ReviewText, Stance

SUPPORTERS = 2
"""People at least, who put it differently."""
_QUOTES = 5
_ALIKE = 0.5  # share of the smaller of two personas' sentences that are the other's too, from which on it adds nothing
_THIS = re.compile(r"\b(?:this|these)\s+((?:[a-z]+\s+)?[a-z]+)")


@dataclass(frozen=True, slots=True)
class QuotedRemark:
    """A remark and the review it is from."""

    remark: AspectQuote
    review: ReviewText


@dataclass(frozen=True, slots=True)
class Group:
    """Remarks of several people on one topic with one stance; none of these people also denies it."""

    topic: str
    stance: Stance
    said: tuple[QuotedRemark, ...]

    @property
    def people(self) -> int:
        """Number of distinct people."""
        return _people(self.said)


def personas_of(item: ItemEvidence, shop: Shop, most: int) -> list[Persona]:
    """Make at most `most` personas, liking ones first, each by support; one place among them is for a persona that dislikes."""
    return [persona_of(item.item.item_id, group, quotes_of(group), shop) for group in groups_of(item, shop, most)]


def groups_of(item: ItemEvidence, shop: Shop, most: int) -> list[Group]:
    """The group of remarks behind each of `personas_of`, in the same order."""
    found = [Group(*key, tuple(said)) for key, said in _groups(item, shop).items() if agree(said)]
    apart: list[Group] = []
    for group in sorted(found, key=lambda group: (-group.people, group.topic)):
        if not any(_alike(group.said, other.said) for other in apart):
            apart.append(group)
    liking = [group for group in apart if group.stance == "likes"]
    disliking = [group for group in apart if group.stance == "dislikes"]
    liking = liking[: most - bool(disliking)] or liking[:most]
    return [*liking, *disliking][:most]


def _groups(item: ItemEvidence, shop: Shop) -> dict[tuple[str, Stance], list[QuotedRemark]]:
    """Group remarks by topic and stance, without people who also say the opposite."""
    reviews = {review.review_id: review for review in item.reviews}
    own = _goods_of(item) | shop.goods
    stances: dict[tuple[str, str], set[Stance | None]] = defaultdict(set)
    groups: dict[tuple[str, Stance], list[QuotedRemark]] = defaultdict(list)
    for aspects in item.aspects:
        review = reviews.get(aspects.review_id)
        for remark in aspects.evidence if review else ():
            assert review is not None
            topic = _topic(remark, own, shop, load_lexicon().lexicon)
            if topic:
                stances[review.user_id, topic].add(remark.stance)
                if remark.stance in ("likes", "dislikes"):
                    groups[topic, remark.stance].append(QuotedRemark(remark, review))
    agreeing = {
        key: [said for said in group if stances[said.review.user_id, key[0]] == {key[1]}]
        for key, group in groups.items()
    }
    return {key: said for key, said in agreeing.items() if said}


def _topic(remark: AspectQuote, own: frozenset[str], shop: Shop, lexicon: Lexicon) -> str | None:
    """The remark's topic, or None if it is no topic in this shop; an adjective before the item's own noun is a property of it."""
    topic = remark.topic or ""
    if remark.form in ("motive", "property", "manner"):
        return topic
    *before, head = topic.split() or [""]
    general = head in lexicon.general_nouns and head not in SPOKEN_OF
    goods = singular(head) in own or head in lexicon.general_nouns
    if remark.form == "use":
        return None if goods else topic
    if general or set(before) & lexicon.sale:
        return None
    if goods:
        # "The strap is sturdy", "a sturdy strap": a property of the item.
        said_of_it = remark.form == "kind" or (remark.form == "statement" and remark.word in lexicon.properties)
        return remark.word if said_of_it else None
    if topic in lexicon.senses.values() or topic in shop.topics:
        return topic
    if head == "quality" and before and {before[-1]} & {*lexicon.senses.values(), *shop.topics}:
        return before[-1]  # the sound quality is the sound's
    return head if head in shop.topics else None


def _goods_of(item: ItemEvidence) -> frozenset[str]:
    """Nouns that name this item: those its reviewers point at ("these strings"), and those of its title; never a sense."""
    pointed = (m.group(1) for review in item.reviews for m in _THIS.finditer(review.text.lower()))
    goods = {singular(word) for phrase in (*pointed, (item.item.title or "").lower()) for word in tokens(phrase)}
    return frozenset(goods - set(load_lexicon().lexicon.senses.values()))


def agree(said: Sequence[QuotedRemark]) -> bool:
    """Whether two people say the same in different words."""
    return _people(said) >= SUPPORTERS and len({same_words(one.remark.quote) for one in said}) >= SUPPORTERS


def _people(said: Iterable[QuotedRemark]) -> int:
    return len({one.review.user_id for one in said})


def _alike(one: Sequence[QuotedRemark], other: Sequence[QuotedRemark]) -> bool:
    """Whether two groups rest on mostly the same sentences."""
    left, right = ({(said.review.review_id, said.remark.start) for said in group} for group in (one, other))
    return len(left & right) > _ALIKE * min(len(left), len(right))


def quotes_of(group: Group) -> list[QuotedRemark]:
    """Choose quotes: one per person, no wording twice, those that keep to the item and read best first."""
    sale = load_lexicon().lexicon.sale

    def place(one: QuotedRemark) -> tuple[bool, float, str, str]:
        quote = one.remark.quote
        return not sale.isdisjoint(tokens(quote)), unreadability(quote), quote, one.review.review_id

    best = sorted(group.said, key=place)
    chosen: list[QuotedRemark] = []
    heard: set[str] = set()
    for one in best:
        words = same_words(one.remark.quote)
        if one.review.user_id not in heard and words not in heard:
            chosen.append(one)
            heard |= {one.review.user_id, words}
    if len(chosen) < SUPPORTERS:  # the best wording is somebody's who has another, and the only one of the others
        chosen = next(([one, other] for one, other in combinations(best, 2) if agree((one, other))), chosen)
    return chosen[:_QUOTES]


def persona_of(item_id: str, group: Group, quotes: Sequence[QuotedRemark], shop: Shop) -> Persona:
    """Word a persona with nothing but the topic and words of these quotes of the group."""
    topic, stance, said = group.topic, group.stance, group.said
    name, description, rationale = _words(topic, stance, [one.remark for one in quotes], shop)
    ratings = {one.review.review_id: one.review.rating for one in said}
    spans = ((one.review.review_id, one.remark) for one in quotes)
    return Persona(
        item_id=item_id,
        name=name,
        description=description,
        preference_rationale=rationale,
        evidence=tuple(Quote("review", ref, span.start, span.end, span.quote) for ref, span in spans),
        support=group.people,
        mean_rating=round(sum(ratings.values()) / len(ratings), 3),
        source="embedded",
        stance=stance,
        topic=topic,
    )


def _words(topic: str, stance: Stance, remarks: Sequence[AspectQuote], shop: Shop) -> tuple[str, str, str]:
    """Compose name, description and rationale."""
    form = remarks[0].form
    if form == "motive":
        motives = load_lexicon().lexicon.motives.items()
        motive = next(m for key, m in motives if (m.topic or key) == topic and m.stance == stance)
        return motive.name, motive.description, motive.rationale
    if form == "use":
        return _purpose(remarks)
    if form == "manner":
        return _manner(topic.removeprefix("to "), stance)
    if topic == remarks[0].word:
        wanted = f"People who look for something {topic}." if stance == "likes" else f"People who find it {topic}."
        return f"Finds it {topic}", wanted, f"Reviewers find it {topic}."
    thing = f"the {shop.topics.get(topic, topic)}"
    them = "them" if thing.endswith("s") and not thing.endswith("ss") else "it"
    words = [remark.word for remark in remarks if remark.word and _is_adjective(remark.word)]
    called = [word for word in dict.fromkeys(words) if word != "worst"][:3]
    call = f" Reviewers call {them} {listed(called)}." if called else ""
    if stance == "likes":
        return f"Likes {thing}", f"People who care about {thing}.{call}", f"Reviewers like {thing}."
    return f"Faults {thing}", f"People who find fault with {thing}.{call}", f"Reviewers find fault with {thing}."


def _purpose(remarks: Sequence[AspectQuote]) -> tuple[str, str, str]:
    """Compose the texts for a purpose: "For recording"."""
    topic = remarks[0].topic or ""
    noun = topic.removeprefix("for ")
    forms = re.findall(rf"\bfor ({re.escape(noun[:-1])}\w*)", " ".join(remark.quote.lower() for remark in remarks))
    shown = f"for {max(sorted(set(forms)), key=forms.count, default=noun)}"
    praised = [_is_adjective(remark.word or "") for remark in remarks]
    does = "find it good" if all(praised) else "use it, or find it good," if any(praised) else "have it"
    return shown.capitalize(), f"People who want it {shown}.", f"Reviewers {does} {shown}."


def _manner(verb: str, stance: Stance) -> tuple[str, str, str]:
    """Compose the texts for a manner: "Likes how it works", or faults it."""
    if verb.endswith(("s", "x", "z", "ch", "sh", "o")):
        does = f"{verb}es"
    else:
        does = f"{verb[:-1]}ies" if re.search(r"[^aeiou]y$", verb) else f"{verb}s"
    if stance == "likes":
        return f"Likes how it {does}", f"People who want it to {verb} well.", f"Reviewers say that it {does} well."
    return f"Faults how it {does}", f"People for whom it {does} badly.", f"Reviewers say that it {does} badly."


def _is_adjective(word: str) -> bool:
    lexicon = load_lexicon().lexicon
    return word in lexicon.praise | lexicon.blame | lexicon.properties


def listed(words: Sequence[str]) -> str:
    """Join words in English: great, warm and clear."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
