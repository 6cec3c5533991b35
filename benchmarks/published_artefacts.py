"""What gpt-4o-mini wrote, through our checks: `published_artefacts.py FOLDER`, the folder of the published sample.

Each line goes the way of a reply, parsed by the model of its stage and held against the same checks. Keys of the sample
are called as ours are, `P1` is the number 1; nothing is mended. What the sample lacks is stood in for:

* Its aspects cite no sentences, so each cites every sentence of its review.
* Its personas cite none either, and their items' reviews are not in it, so each cites what it says itself: whether it is
  unsafe, stuck, copied from our prompt or said twice is judged, its support is not. They have no stance; each gets "likes".
* The other personas of a selection's item are not in it: reasonings are held against the chosen one's name, and against
  numbers up to the sample's most, seven.
"""

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from persona_pipeline.config import TextEmbeddingsConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract.identity import label
from persona_pipeline.extract.labels.persona_judge import contradiction
from persona_pipeline.extract.llm.citable import CitableSentence
from persona_pipeline.extract.llm.engines.engine import Answer
from persona_pipeline.extract.llm.grounding import claim, is_copied, supporting, what_is_unsafe
from persona_pipeline.extract.llm.outcomes import outcome_of
from persona_pipeline.extract.llm.persona_verdicts import AnsweredPersona, judge_personas
from persona_pipeline.extract.llm.prompts import Prompts
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.llm.response_models import (
    ChoiceResponse,
    PersonaResponse,
    PersonasResponse,
    output_schema,
)
from persona_pipeline.extract.memoised import memoised
from persona_pipeline.extract.sentences import Sentence, split_sentences
from persona_pipeline.extract.types import ASPECT_NAMES, Embed, ReviewText
from persona_pipeline.warehouse import Warehouse

MOST = 7  # personas of an item in the sample
PROMPTS = Prompts("books")
KEYS = {"Name": "name", "Description": "description", "Preference_Rationale": "preference_rationale"}

Faults = list[tuple[str, str]]
"""(reason, example) of what is wrong with one line; none where it passes."""


def main(folder: Path) -> dict[str, Any]:
    """By stage how many lines pass, and why the others do not; an example of each reason is printed."""
    reviews, items = _rows(folder / "1_aspects.jsonl"), _rows(folder / "3_personas.jsonl")
    with tempfile.TemporaryDirectory() as scratch:
        embed = memoised(Embedder(TextEmbeddingsConfig(), Warehouse(scratch)), _texts(reviews, items))
    return {
        "aspects": _counted("aspects", (aspects(row, embed) for row in reviews)),
        "personas": _counted("personas", (personas(row, embed) for row in items)),
        "selections": _counted("selections", map(selection, _rows(folder / "4_selected_personas.jsonl"))),
    }


def aspects(row: dict[str, Any], embed: Embed) -> Faults:
    """Of one review, as `response_rows.aspects_of` judges them; a reply may cite three sentences, so no reply is parsed."""
    prompt = PROMPTS.render("aspects_system")
    sentences = [sentence.quote for sentence in split_sentences(row["review_text"])]
    faults = []
    for name in ASPECT_NAMES:
        text = row["extracted_aspects"][name]
        if text is None:
            continue
        if found := what_is_unsafe(text, {row["user_id"]}):
            faults.append(("unsafe", f"{name} “{text}” holds {found}"))
        elif is_copied(text, prompt):
            faults.append(("ungrounded: copied from the prompt", f"{name} “{text}”"))
        elif not supporting(text, sentences, embed):
            faults.append(("ungrounded: no sentence supports it", f"{name} “{text}”: {row['review_text'][:160]}"))
    return faults


def personas(row: dict[str, Any], embed: Embed) -> Faults:
    """Of one item."""
    said = [
        {ours: p[key] for key, ours in KEYS.items()} | {"sentences": [n], "stance": "likes"}
        for n, p in enumerate(row["personas"], 1)
    ]
    bounds = {"sentences": len(said), "least": 2, "most": MOST}
    schema = output_schema("item_personas", bounds)
    outcome, detail, value = outcome_of(_answer({"personas": said}), PersonasResponse, schema, bounds)
    if not isinstance(value, PersonasResponse):
        fault = re.sub(r"^personas\.\d+\.| \(and \d+ more\)$", "", detail)
        place = re.match(r"personas\.(\d+)\.(\w+)", detail)
        return [(f"{outcome}: {fault}", said[int(place[1])][place[2]] if place else detail)]
    prompt = PROMPTS.render("personas_system", least=2, most=MOST)
    request = Request("item_personas", "", prompt, "", schema, "", Sampling(0, 0.0, 0))
    claimed = []
    for n, persona in enumerate(value.personas):
        words = claim(persona)
        own = CitableSentence(ReviewText(str(n), "", "", 5.0, words), Sentence(0, len(words), words))
        claimed.append(AnsweredPersona(persona, (own,), request))
    judged = judge_personas(claimed, frozenset(), embed)
    return [(one.verdict, one.detail) for one in judged if one.verdict != "kept"]


def selection(row: dict[str, Any]) -> Faults:
    """Of one user and item."""
    number = int(row["selected_persona_id"].removeprefix("P"))
    said = {"reasoning": row["selection_reasoning"], "persona": number}
    bounds = {"personas": MOST}
    outcome, detail, value = outcome_of(_answer(said), ChoiceResponse, output_schema("persona_choices", bounds), bounds)
    if not isinstance(value, ChoiceResponse):
        return [(outcome, detail)]
    names = {number: row["selected_persona_name"]}
    fault = contradiction(value.reasoning, value.persona, names, MOST)
    return [("label_conflict", fault)] if fault else []


def _texts(reviews: list[dict[str, Any]], items: list[dict[str, Any]]) -> Iterator[str]:
    """All that will be embedded, to be embedded at once."""
    for row in reviews:
        yield from (text for name in ASPECT_NAMES if (text := row["extracted_aspects"][name]))
        yield from (sentence.quote for sentence in split_sentences(row["review_text"]))
    for row in items:
        for persona in row["personas"]:
            said = PersonaResponse.model_construct(**{ours: persona[key] for key, ours in KEYS.items()})
            yield from (claim(said), label(said.name, said.description))


def _answer(said: Any) -> Answer:
    return Answer("published", json.dumps(said), "stop", 0, 0)


def _counted(stage: str, lines: Iterable[Faults]) -> dict[str, Any]:
    found = list(lines)
    examples = {reason: example for faults in reversed(found) for reason, example in reversed(faults)}
    for reason, example in sorted(examples.items()):
        print(f"{stage}, {reason}: {example}")
    reasons = Counter(reason for faults in found for reason, _ in faults)
    passed = sum(not faults for faults in found)
    return {"lines": len(found), "pass": passed, "faults": dict(sorted(reasons.items()))}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(main(Path(sys.argv[1]))))
    else:
        print(json.dumps({"skipped": "give the folder of the published sample"}))
