"""Real vLLM with a small real model on a CPU. In a process of its own: vLLM changes its process too much for a test's."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from persona_pipeline.config import LlmConfig, load_config
from persona_pipeline.errors import ConfigError
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.llm.vllm import VllmBackend
from persona_pipeline.small_model import FOLDER
from persona_pipeline.warehouse import Warehouse

needs_model = pytest.mark.skipif(
    not (FOLDER / "config.json").is_file() or find_spec("vllm") is None,
    reason="vLLM's CPU build or the small model is not installed here",
)

PROGRAM = """
import json, sys
from datetime import date
from persona_pipeline.config import load_config
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.protocol import ReviewText
from persona_pipeline.text_embeddings import Embedder
from persona_pipeline.warehouse import Warehouse

if __name__ == "__main__":
    texts = ["The tone is bright. I play these strings on stage.", "A gift for my son. He loves it.", "word " * 3000]
    reviews = [ReviewText(f"r{i}", f"u{i}", "i1", 5.0, text) for i, text in enumerate(texts)]
    config = load_config("local", {"extraction": {"extractor": "vllm", "llm": {"max_tokens": {"aspects": 200}}}})
    warehouse = Warehouse(sys.argv[1])
    embedder = Embedder(config.text_embeddings, warehouse)
    for _ in range(2):
        extractor = make_extractor(config.extraction, embedder, warehouse, date(2024, 1, 1))
        found = list(extractor.aspects(reviews))
        extractor.close()
        spans = all(
            reviews[i].text[q.start : q.end] == q.quote
            for i, (aspects, _) in enumerate(found) if aspects for q in aspects.evidence
        )
        reasons = [[r.reason for r in refusals] for _, refusals in found]
        print(json.dumps({**extractor.usage()["llm"], "verbatim": spans, "reasons": reasons}), flush=True)
"""


@needs_model
@pytest.mark.slow
def test_every_request_is_accounted_for_and_asked_once(tmp_path: Path) -> None:
    script = tmp_path / "ask.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "wh")], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, again = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert sum(first["outcomes"].values()) == 3
    assert first["outcomes"]["too_long"] == 1
    assert first["asked"] >= 2
    assert first["completion_tokens"] > 0
    assert first["verbatim"]
    assert first["reasons"][2] == ["too_long"]
    # The second time nothing is asked, and the outcomes are the same.
    assert (again["asked"], again["outcomes"]) == (0, first["outcomes"])
    calls = Warehouse(tmp_path / "wh").read("llm_calls").to_pylist()
    assert len(calls) == first["asked"]
    compact = [call["output"] for call in calls if call["outcome"] == "ok"]
    assert compact
    assert all(text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) for text in compact)


@needs_model
def test_tokens_are_counted_with_the_chat_template() -> None:
    backend = VllmBackend(load_config("local").extraction.llm)
    request = Request("item_personas", "i1", "Be brief.", "Hello there", {}, backend.model, Sampling(10, 0.0, 0))
    (count,) = backend.count_tokens([request])
    assert count == len(backend.tokens(request)) > 4
    assert backend.model.startswith("SmolLM2-135M-Instruct@")


def test_a_missing_model_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"llm\.model nowhere: no model there, nor in .*models"):
        VllmBackend(LlmConfig(model="nowhere"))
    with pytest.raises(ConfigError, match="nothing is downloaded"):
        VllmBackend(LlmConfig())
