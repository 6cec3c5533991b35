"""An item nobody has usefully reviewed gets one provisional persona, read off its metadata."""

from persona_pipeline.extract.embedded.sentences import split_sentences
from persona_pipeline.extract.embedded.vocabulary import Vocabulary
from persona_pipeline.extract.protocol import ItemText, Persona, Quote


def provisional_persona(item: ItemText, vocabulary: Vocabulary) -> Persona | None:
    """A persona with support 0 that claims no more than title and description say; None without either."""
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
    fitting = [m for m in vocabulary.motives if not m.critical and m.tells_who and m.cue.search(said)]
    names = [name for name in fitting[0].names if "{" not in name] if fitting else []
    subject = f"“{item.title.strip()}”" if item.title and item.title.strip() else "this item"
    sentences = [f"They are looking for {subject}."]
    if names:
        sentences.append(fitting[0].describe[0])
    sentences.append("Nobody has reviewed it usefully yet, so this rests on its own description.")
    return Persona(
        item_id=item.item_id,
        name=names[0] if names else "Prospective buyers",
        description=" ".join(sentences),
        preference_rationale=f"It is offered to them as: “{evidence[-1].quote.rstrip(' .')}”.",
        evidence=tuple(evidence),
        support=0,
        mean_rating=None,
        source="metadata",
    )
