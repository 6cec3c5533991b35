"""What a file is parsed by is part of how it is known: all of the program that decides it."""

import json
import subprocess
import sys

import pytest

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.sources import input_state
from persona_pipeline.sources.adapters import adapter

_IMPORTED = """
import json, sys
import persona_pipeline.sources.near_duplicates, persona_pipeline.sources.parsing
print(json.dumps(sorted(sys.modules)))
"""


def key() -> str:
    return input_state.parser_key(adapter("jsonl"), ReviewsConfig(), None, "")


def test_every_module_that_parses_is_in_the_key() -> None:
    ran = subprocess.run([sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True)
    modules = [name.split(".") for name in json.loads(ran.stdout)]
    rooms = {name[2] for name in modules if name[:2] == ["persona_pipeline", "sources"] and len(name) > 2}
    assert rooms == set(input_state._CODE)


@pytest.mark.parametrize("library", input_state._LIBRARIES)
def test_another_version_of_a_library_is_another_key(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    before = key()
    monkeypatch.setattr(input_state, "version", lambda name: f"{name == library}")
    other = key()
    monkeypatch.setattr(input_state, "version", lambda name: "False")
    assert len({before, other, key()}) == 3
