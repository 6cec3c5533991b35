"""Decode bytes of input files: UTF-8, or where they are not that, the Windows code page of Western Europe."""

from typing import Literal


def decode(line: bytes) -> tuple[str, Literal["utf-8", "cp1252"]]:
    """Return the text of a line and the encoding that it turned out to have.

    Bytes that are no UTF-8 are all but always Windows-1252, of which Latin-1 is a part; five of its bytes mean nothing and
    become U+FFFD.
    """
    try:
        return line.decode(), "utf-8"
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace"), "cp1252"
