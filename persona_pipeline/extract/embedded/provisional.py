"""An item nobody has usefully reviewed gets one provisional persona, read off its metadata."""

from persona_pipeline.extract.embedded.vocabulary import Vocabulary, load_vocabulary
from persona_pipeline.extract.embedded.words import base_form
from persona_pipeline.extract.protocol import ItemText, Persona, Quote
from persona_pipeline.extract.sentences import split_sentences


def provisional_persona(item: ItemText, vocabulary: Vocabulary | None = None) -> Persona | None:
    """A persona with support 0 that claims no more than title and description say; None without either."""
    vocabulary = vocabulary or load_vocabulary()
    evidence = []
    if item.title and item.title.strip():
        title = item.title.strip()
        start = item.title.index(title)
        evidence.append(Quote("metadata", "title", start, start + len(title), title))
    pitch = split_sentences(item.description or "")[:1]
    evidence += [Quote("metadata", "description", s.start, s.end, s.quote) for s in pitch]
    if not evidence:
        return None
    said = " ".join(quote.quote for quote in evidence)
    # Metadata may tell what a thing is bought for; who likes it and how they use it is for reviews to say.
    purposes = [m for m in vocabulary.motives if m.aspect == "purchase_purpose" and m.cue.search(said)]
    name = next((name for motive in purposes for name in motive.names if "{" not in name), _shoppers(item))
    subject = f"“{item.title.strip()}”" if item.title and item.title.strip() else "this item"
    sentences = [f"They are looking for {subject}."]
    if purposes:
        sentences.append(purposes[0].describe[0])
    sentences.append("Nobody has reviewed it usefully yet, so this rests on its own description.")
    return Persona(
        item_id=item.item_id,
        name=name,
        description=" ".join(sentences),
        preference_rationale=f"It is offered to them as: “{evidence[-1].quote.rstrip(' .')}”.",
        evidence=tuple(evidence),
        support=0,
        mean_rating=None,
        source="metadata",
        stance="mixed",
    )


def _shoppers(item: ItemText) -> str:
    """Name "Gift card shoppers" after the narrowest category with one or two words, else "Prospective buyers"."""
    for category in reversed(item.categories):
        words = category.lower().split()
        if len(words) <= 2 and all(word.isalpha() for word in words):
            return " ".join([*words[:-1], base_form(words[-1]), "shoppers"]).capitalize()
    return "Prospective buyers"
