"""Tell the language of a text by Compact Language Detector 2, whose tables come with the package `pycld2` (4 MB in memory)."""

import pycld2

READ = 200  # characters from the beginning: more changes next to nothing and costs time
_SHORT = 12  # characters; shorter ASCII text ("ok", "gift!") looks like many languages

_ISO_639_1 = {"iw": "he", "jw": "jv", "in": "id", "mo": "ro", "zh-Hant": "zh"}  # where the detector has another name


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of the language a text begins in, or None where it is too short or fits several.

    `text` is clean: control characters make the detector refuse it.
    """
    if len(text) < _SHORT and text.isascii():
        return None
    reliable, _, (best, *_) = pycld2.detect(text[:READ], isPlainText=True)
    code: str = _ISO_639_1.get(best[1], best[1])
    return code if reliable and len(code) == 2 and code not in ("un", "xx") else None
