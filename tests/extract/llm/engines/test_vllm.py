"""Real vLLM with a small real model on a CPU. In a process of its own: vLLM changes its process too much for a test's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from vllm_model import needs_model

from persona_pipeline.config import LlmConfig, load_config
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.extract.llm.engines.vllm import VllmBackend
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.warehouse import Warehouse

TESTS = Path(__file__).parents[3] / "support"

PROGRAM = """
import json, sys
from datetime import date
from persona_pipeline.config import load_config
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.types import ReviewText
from persona_pipeline.embeddings.cache import Embedder
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


KILLING = """
import json, multiprocessing, sys
from datetime import date
from fixture_engine import embed
from vllm_model import ONE_PROCESS
from persona_pipeline.config import load_config
from persona_pipeline.extract.extractors import make_extractor
from persona_pipeline.extract.llm.engines.vllm import VllmEngine
from persona_pipeline.extract.types import ReviewText
from persona_pipeline.warehouse import Warehouse

if __name__ == "__main__":
    # Cut off where it stands, one attempt: an answer is an answer. Two at a time, so that most are open at the first one.
    llm = {"in_process": False, "attempts": 1, "max_concurrent": 2, "engine_restarts": 1, "max_tokens": {"aspects": 20}}
    options = {"distributed_executor_backend": ONE_PROCESS}
    config = load_config("local", {"extraction": {"extractor": "vllm", "llm": {**llm, "engine_options": options}}})
    extractor = make_extractor(config.extraction, embed, Warehouse(sys.argv[1]), date(2024, 1, 1))
    events = []
    submit, record = VllmEngine.submit, extractor.client.ledger.record

    def noting(self, request):
        events.append(("asked", request.key))
        submit(self, request)

    def killing(request, answer, outcome):
        record(request, answer, outcome)
        if all(event == "asked" for event, _ in events):
            (core,) = multiprocessing.active_children()
            core.kill()
        events.append(("answered", request.key))

    VllmEngine.submit, extractor.client.ledger.record = noting, killing
    reviews = [ReviewText(f"r{i}", f"u{i}", "i1", 5.0, f"{i} weeks on stage and no buzz.") for i in range(6)]
    found = list(extractor.aspects(reviews))
    extractor.close()
    print(json.dumps({**extractor.usage()["llm"], "found": len(found), "events": events}), flush=True)
"""


@needs_model
@pytest.mark.slow
@pytest.mark.chaos
def test_an_engine_process_killed_while_it_generates_is_replaced_and_asked_only_what_is_open(tmp_path: Path) -> None:
    script = tmp_path / "kill.py"
    script.write_text(KILLING)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "wh")],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(TESTS)])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (ended,) = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert ended["engine_restarts"] == 1
    assert (ended["found"], sum(ended["outcomes"].values())) == (6, 6)
    asked = [key for event, key in ended["events"] if event == "asked"]
    answered = [key for event, key in ended["events"] if event == "answered"]
    assert len(answered) == len(set(answered)) == len(set(asked)) == 6
    # Something was under way when the engine died, and that alone was asked again.
    assert 1 <= len(asked) - 6 <= 4
    events = [tuple(event) for event in ended["events"]]
    assert all(("asked", key) not in events[events.index(("answered", key)) :] for key in answered)
    assert Warehouse(tmp_path / "wh").read("llm_calls").num_rows == 6
