"""What masking finds and what else it takes: `masking.py [FILE]`, a file of cases as tests/fixtures/personal_data.jsonl is.

A case is a text with the spans that must go, of one kind, or none of all. Recall: cases of a kind whose spans went, all of
them and nothing else. Precision: share of all that was masked which a case says must go. Cases with split `held_out` had no
part in the making of the rules. Microseconds a text are measured on ordinary review text, with and without digits.
"""

import json
import re
import sys
import timeit
from collections import Counter
from pathlib import Path
from typing import Any

from persona_pipeline.sources.personal_data import mask_personal_data
from persona_pipeline.sources.text import clean_text

CASES = Path(__file__).parents[1] / "tests" / "fixtures" / "personal_data.jsonl"
_LABEL = re.compile(r"\[(?:email|phone|card|account|ssn|ip|address)\]")
_ORDINARY = (
    "I have been playing guitar for years and this is the best capo i've tried. It holds the strings down firmly, doesn't "
    "buzz and is easy to move. "
) * 3


def main(path: Path = CASES) -> dict[str, Any]:
    """Return recall and precision by kind and split, the shares over all, and microseconds a text of 400 characters."""
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    splits = {split: scored([case for case in cases if case["split"] == split]) for split in ("tuning", "held_out")}
    print(f"{'kind':9}" + "".join(f"{split:>12} found of" for split in splits))
    for kind in splits["tuning"]["found"]:
        print(f"{kind:9}" + "".join(f"{s['found'][kind][0]:>12} {s['found'][kind][1]:>8}" for s in splits.values()))
    for split, figures in splits.items():
        print(
            f"{split}: {figures['negatives_kept'][0]} of {figures['negatives_kept'][1]} texts without personal data stay whole"
        )
    plain, digits = _ORDINARY[:400], _ORDINARY[:400].replace("for years", "for 12 years, a DS-1 at $99.95")
    return {
        split: {
            "recall": {kind: round(hit / of, 4) for kind, (hit, of) in figures["found"].items()},
            "precision": figures["precision"],
            "negatives_kept": round(figures["negatives_kept"][0] / figures["negatives_kept"][1], 4),
        }
        for split, figures in splits.items()
    } | {"microseconds": {"without_digits": _microseconds(plain), "with_digits": _microseconds(digits)}}


def scored(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """Count per kind the cases masked exactly as they should be, the negatives left whole, and precision over masks."""
    found: dict[str, list[int]] = {}
    kept, right, masks = [0, 0], 0, 0
    for case in cases:
        masked = mask_personal_data(case["text"])
        exact = masked == expected(case)
        if case["kind"] == "none":
            kept = [kept[0] + exact, kept[1] + 1]
        else:
            hits, of = found.setdefault(case["kind"], [0, 0])
            found[case["kind"]] = [hits + exact, of + 1]
        labels = Counter(_LABEL.findall(masked))
        masks += labels.total()
        right += (labels & Counter({f"[{case['kind']}]": len(case["spans"])})).total()
    return {"found": found, "negatives_kept": kept, "precision": round(right / max(masks, 1), 4)}


def expected(case: dict[str, Any]) -> str:
    """Return a case's text with its spans replaced by their kind."""
    text: str = case["text"]
    for start, end in reversed(case["spans"]):
        text = f"{text[:start]}[{case['kind']}]{text[end:]}"
    return text


def _microseconds(text: str) -> float:
    times = timeit.repeat(lambda: clean_text(text, 8_000, mask_personal_data), number=2_000, repeat=7)
    return round(min(times) / 2_000 * 1e6, 2)


if __name__ == "__main__":
    print(json.dumps(main(*map(Path, sys.argv[1:2]))))
