"""Take personas that somebody else wrote, as the paper publishes them (`PublishedPersonas`), as far as they are grounded.

The file has a record an item: `item_id` and `personas`, each with Name, Description and Preference_Rationale. It cites
nothing, so each persona is held against every sentence of the item's evidence reviews, or, where there is none, of its
description, by the checks of an LLM's reply. Other items are another extractor's.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.core.errors import SourceError
from persona_pipeline.extract.embedded.plain import plain_persona
from persona_pipeline.extract.identity import label
from persona_pipeline.extract.llm.citable import CitableSentence, all_sentences, citable
from persona_pipeline.extract.llm.grounding import claim
from persona_pipeline.extract.llm.persona_verdicts import AnsweredPersona, PersonaWithVerdict, judge_personas
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.llm.response_models import PersonaResponse
from persona_pipeline.extract.llm.response_rows import kept_persona
from persona_pipeline.extract.memoised import memoised
from persona_pipeline.extract.types import (
    Embed,
    ItemEvidence,
    ItemSummary,
    Persona,
    PersonaExtractor,
    Quote,
    Refusal,
    ReviewAspects,
    ReviewsOf,
    ReviewText,
    Stage,
)
from persona_pipeline.sources.parsing import encodable
from persona_pipeline.sources.personal_data import mask_personal_data
from persona_pipeline.sources.records import Split, records
from persona_pipeline.sources.shapes import recognise
from persona_pipeline.sources.text import clean_text
from persona_pipeline.sources.values import NotScalar, characters, identity

_KEYS = {"name": "Name", "description": "Description", "preference_rationale": "Preference_Rationale"}
_LONGEST = 1_000
_REVIEWERS = re.compile(r"\b(?:review\w*|rating\w*|users? (?:mention|said|say)\w*)\b", re.IGNORECASE)
_NO_REQUEST = Request("item_personas", "", "", "", {}, "", Sampling(0, 0.0, 0))

Said = dict[str, str]


def read_personas(file: Path) -> dict[str, list[Said]]:
    """Read personas by item. Raises SourceError naming file and line for what is no such record."""
    shape = recognise(file) if file.is_file() else None
    if shape is None:
        raise SourceError(f"extraction.published: {file}: expected JSON lines with item_id and personas, found nothing")
    found: dict[str, list[Said]] = {}
    for record in records(Split(file, shape)):
        fields = record.fields if isinstance(record.fields, dict) else {}
        item, told, where = _id(fields), fields.get("personas"), f"extraction.published: {file}, line {record.line}"
        if item is None or not isinstance(told, list):
            raise SourceError(f"{where}: expected item_id and a list of personas")
        if item in found:
            raise SourceError(f"{where}: the item {item} again; expected all its personas in one record")
        found[item] = [_said(one) for one in told if isinstance(one, dict)]
    return found


def _id(fields: dict[str, Any]) -> str | None:
    """The item's id as `items` has it."""
    try:
        text = characters(fields.get("item_id"))
    except NotScalar:
        return None
    return None if text is None or not encodable(text) else identity(text)


def _said(one: dict[str, Any]) -> Said:
    texts = {ours: one.get(theirs, one.get(ours)) for ours, theirs in _KEYS.items()}
    return {
        key: (clean_text(text, _LONGEST, mask_personal_data) or "") if isinstance(text, str) else ""
        for key, text in texts.items()
    }


def with_published(others: PersonaExtractor, config: ExtractionConfig, embed: Embed) -> PersonaExtractor:
    """The extractor of `item_personas`: the configured one, behind the ready-made personas where `published` names a file."""
    if not config.published:
        return others
    return PublishedPersonas(others, read_personas(Path(config.published)), embed, config.max_personas)


class PublishedPersonas:
    """`PersonaExtractor` of ready-made personas of some items; everything else is `others`'."""

    def __init__(self, others: PersonaExtractor, ready: Mapping[str, list[Said]], embed: Embed, most: int) -> None:
        self.others, self.embed, self.most = others, embed, most
        self.source: Literal["llm", "embedded"] = others.source
        self.reads: tuple[ReviewsOf, ...] = others.reads
        self.ready = ready
        self._digest = hashlib.sha256(repr(sorted(self.ready.items())).encode(errors="replace")).hexdigest()[:12]

    def version(self, stage: Stage) -> str:
        """The other extractor's, and for personas the content of the file."""
        version = self.others.version(stage)
        return f"{version}+published-{self._digest}" if stage == "item_personas" else version

    def aspects(self, reviews: Sequence[ReviewText]) -> Iterator[tuple[ReviewAspects | None, list[Refusal]]]:
        """As the other extractor reads them."""
        return self.others.aspects(reviews)

    def summaries(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[ItemSummary | None, list[Refusal]]]:
        """As the other extractor writes them."""
        return self.others.summaries(items)

    def personas(self, items: Sequence[ItemEvidence]) -> Iterator[tuple[list[Persona], list[Refusal]]]:
        """One result per item, in order: of items in the file the personas that are grounded, and refusals of the others.

        Where none of an item's is grounded, it has a plain persona.
        """
        rest = self.others.personas([item for item in items if item.item.item_id not in self.ready])
        claimed = {item.item.item_id: self._claimed(item) for item in items if item.item.item_id in self.ready}
        embed = memoised(self.embed, (text for answered, _ in claimed.values() for text in _texts(answered)))
        for item in items:
            if item.item.item_id not in claimed:
                yield next(rest)
                continue
            answered, refusals = claimed[item.item.item_id]
            judged = judge_personas(answered, {review.user_id for review in item.reviews}, embed)
            kept = [_persona(item, one) for one in judged if one.verdict == "kept"]
            if not kept and (plain := plain_persona(item)):
                kept = [plain]  # an answer: the same file and evidence would give no other the next night
            refusals += [
                Refusal(item.item.item_id, one.verdict, one.detail)
                for one in judged
                if one.verdict in ("ungrounded", "unsafe")
            ]
            yield sorted(kept, key=lambda p: (p.stance == "dislikes", -p.support))[: self.most], _by_reason(refusals)

    def usage(self) -> dict[str, Any]:
        """The other extractor's."""
        return self.others.usage()

    def close(self) -> None:
        """Release the other extractor's resources."""
        self.others.close()

    def _claimed(self, item: ItemEvidence) -> tuple[list[AnsweredPersona], list[Refusal]]:
        reviewed = tuple(all_sentences(item))
        cited = reviewed or _of_description(item)
        answered, refusals = [], []
        for said in self.ready[item.item.item_id]:
            try:
                persona = PersonaResponse.model_validate(
                    {**said, "sentences": [1], "stance": "likes"}, context={"sentences": 1}
                )
            except ValidationError as error:
                fault = error.errors()[0]
                detail = f"{said['name'][:60]}: {fault['loc'][0]}: {fault['msg']}"
                refusals.append(Refusal(item.item.item_id, "schema", detail))
                continue
            if not reviewed and _REVIEWERS.search(f"{persona.description} {persona.preference_rationale}"):
                detail = f"{persona.name}: speaks of reviews, of which the item has none"
                refusals.append(Refusal(item.item.item_id, "ungrounded", detail))
                continue
            answered.append(AnsweredPersona(persona, cited, _NO_REQUEST))
        return answered, refusals


def _of_description(item: ItemEvidence) -> tuple[CitableSentence, ...]:
    # A description stands in a review's place: what is cited of it becomes evidence of the kind metadata.
    text = ReviewText("description", "", item.item.item_id, 0.0, item.item.description or "")
    return tuple(CitableSentence(text, sentence) for sentence in citable(text))


def _texts(answered: Sequence[AnsweredPersona]) -> Iterator[str]:
    for one in answered:
        yield from (claim(one.persona), label(one.persona.name, one.persona.description))
        yield from (cited.quote for cited in one.cited)


def _persona(item: ItemEvidence, judged: PersonaWithVerdict) -> Persona:
    if judged.cited[0].review.user_id:
        return replace(kept_persona(item.item.item_id, judged), source="published", request_key=None)
    said = judged.claimed.persona
    return Persona(
        item_id=item.item.item_id,
        name=said.name,
        description=said.description,
        preference_rationale=said.preference_rationale,
        evidence=tuple(
            Quote("metadata", "description", c.sentence.start, c.sentence.end, c.quote) for c in judged.cited
        ),
        support=0,
        mean_rating=None,
        source="published",
        stance="mixed",  # no reviewer says that they like it
    )


def _by_reason(refusals: Sequence[Refusal]) -> list[Refusal]:
    """One refusal an item and reason, as quarantine keeps them."""
    details: dict[tuple[str, str], list[str]] = {}
    for one in refusals:
        details.setdefault((one.subject, one.reason), []).append(one.detail)
    return [Refusal(subject, reason, "; ".join(told)) for (subject, reason), told in details.items()]
