"""Clean text by Spark expressions: strip markup, control characters and white space, and mask personal data."""

from pyspark.sql import Column
from pyspark.sql import functions as F

# E-mail and phone patterns err on the side of masking: a lost model number costs less than a leaked phone number.
EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
PHONE = (
    r"(?<![\w.$#/-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"
    r"|(?<!\w)\+\d{1,3}(?:[ .-]?\d{2,4}){3,4}(?!\w)"
)

_ENTITIES = {
    "&nbsp;": " ",
    "&#160;": " ",
    "&quot;": '"',
    "&#34;": '"',
    "&#x22;": '"',
    "&apos;": "'",
    "&#39;": "'",
    "&#x27;": "'",
    "&lt;": "<",
    "&gt;": ">",
    "&#38;": "&",
    "&amp;": "&",
}
_BLOCKS = r"(?is)<(script|style)\b.*?</\1>"
_TAGS = r"</?[A-Za-z][^<>]{0,300}>|<!--.*?-->"
_CONTROL = r"[\p{Cc}\p{Cf}\p{Co}\p{Cn}&&[^\n\r\t]]"


def mask_personal_data(text: Column) -> Column:
    """Mask e-mail addresses as `[email]` and phone numbers as `[phone]`."""
    return F.regexp_replace(F.regexp_replace(text, EMAIL, "[email]"), PHONE, "[phone]")


def clean_text(text: Column, max_characters: int) -> Column:
    """Plain text on one line, personal data masked, cut at a word; null stays null, nothing left becomes null."""
    for entity, character in _ENTITIES.items():
        text = F.replace(text, F.lit(entity), F.lit(character))
    text = F.regexp_replace(F.regexp_replace(text, _BLOCKS, " "), _TAGS, " ")
    text = F.trim(F.regexp_replace(F.regexp_replace(text, _CONTROL, ""), r"[\s\u00a0]+", " "))
    text = _cut(mask_personal_data(text), max_characters)
    return F.when(text != "", text)


def _cut(text: Column, limit: int) -> Column:
    # The greedy match ends before the last white space within the limit; a text without any is cut hard.
    at_word = F.regexp_extract(text, rf"^(.{{1,{limit}}})\s", 1)
    cut = F.when(at_word != "", at_word).otherwise(F.substring(text, 1, limit))
    return F.when(F.length(text) <= limit, text).otherwise(cut)
