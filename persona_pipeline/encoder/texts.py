"""The one place that turns a persona, or a user's interaction with an item, into the text that is embedded.

Training and serving call the same two functions on Arrow columns, so their texts cannot differ; `TEXT_VERSION` is
recorded in every encoder and must change whenever a rendering does. After the paper (section 4.2): a persona is its
name, description, the item's summary and the rationale; an interaction is the item's summary and the user's own
aspects of it.
"""

import pyarrow as pa
import pyarrow.compute as pc

TEXT_VERSION = "1"

_ASPECT_LABELS = {
    "category_preference": "Looks for",
    "purchase_purpose": "Bought for",
    "quality_criteria": "Judges by",
    "usage_context": "Used",
}
ASPECT_COLUMNS = tuple(_ASPECT_LABELS)


def render_personas(name: pa.Array, description: pa.Array, summary: pa.Array, rationale: pa.Array) -> pa.Array:
    """Persona texts, (n,); any part may be null."""
    return _joined([name, description, summary, rationale], [". ", " ", " "])


def render_interactions(summary: pa.Array, *aspects: pa.Array) -> pa.Array:
    """Interaction texts, (n,); `aspects` in the order of ASPECT_COLUMNS, null where the review gives none."""
    labelled = [
        pc.binary_join_element_wise(pa.scalar(label), aspect, ": ")
        for label, aspect in zip(_ASPECT_LABELS.values(), aspects, strict=True)
    ]
    return _joined([summary, *labelled], [" "] * len(labelled))


def _joined(parts: list[pa.Array], separators: list[str]) -> pa.Array:
    """Parts one after the other, leaving out what is null or empty together with its separator."""
    text = _filled(parts[0])
    for part, separator in zip(parts[1:], separators, strict=True):
        addition = _filled(part)
        both = pc.and_(pc.not_equal(text, ""), pc.not_equal(addition, ""))
        text = pc.binary_join_element_wise(text, pc.if_else(both, separator, ""), addition, "")
    return text


def _filled(values: pa.Array) -> pa.Array:
    return pc.fill_null(values.cast(pa.string()), "")
