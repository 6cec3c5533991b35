"""vLLM's own server on loopback, asked by the OpenAI-compatible engine: accounts that balance, and a server that is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from fixture_engine import FixtureBackend, echo, embed
from helpers import AS_OF
from vllm_model import ONE_PROCESS, needs_model

from persona_pipeline.config import ExtractionConfig, load_config
from persona_pipeline.core.errors import TransientError
from persona_pipeline.extract import extractors
from persona_pipeline.extract.llm.engines.openai import OpenAIBackend
from persona_pipeline.extract.llm.engines.vllm import SMALL_MODEL
from persona_pipeline.extract.llm.extractor import LlmExtractor
from persona_pipeline.extract.llm.response_cache import ResponseCache
from persona_pipeline.extract.types import ReviewText
from persona_pipeline.warehouse import Warehouse

pytestmark = [needs_model, pytest.mark.slow]

START_SECONDS = 300
REVIEWS = [
    ReviewText(f"r{i}", f"u{i}", "i1", 5.0, text)
    for i, text in enumerate(
        [
            "The tone is bright. I play these strings on stage.",
            "A gift for my son. He loves it and practises every day.",
            "Easy on the fingers of a beginner like me.",
            "They crack within a week, so look elsewhere.",
        ]
    )
]


class Server:
    """`python -m vllm.entrypoints.openai.api_server`, in a process group of its own."""

    def __init__(self, log: IO[bytes]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{free.getsockname()[1]}"
        # As in docs/operating.md, but for the engine in one process: it starts sooner.
        command = f"""--model {SMALL_MODEL} --served-model-name {SMALL_MODEL.name} --dtype float32 --max-model-len 2048
            --enforce-eager --gpu-memory-utilization 0.3 --distributed-executor-backend {ONE_PROCESS}
            --structured-outputs-config {{"backend":"xgrammar","disable_any_whitespace":true}}
            --host 127.0.0.1 --port {self.address.rpartition(":")[2]}"""
        offline = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "2"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *command.split()],
            stdout=log,
            stderr=log,
            env={**os.environ, **offline},
            start_new_session=True,
        )

    def wait_until_up(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=5).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
            else:
                return
        raise RuntimeError("the server did not come up")

    def answered(self) -> int:
        """Requests it has finished, by its own count."""
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=5) as metrics:
            lines = metrics.read().decode().splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:request_success_total")))

    def kill(self) -> None:
        """At once, with its engine's processes."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("server") / "log"
    with path.open("wb") as log:
        found = Server(log)
        try:
            found.wait_until_up()
            yield found
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {path.read_text()[-3000:]}") from None
        finally:
            if found.process.poll() is None:
                found.kill()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "wh")


@pytest.fixture
def settings(server: Server) -> Callable[..., ExtractionConfig]:
    def make(tokens: int, **llm: object) -> ExtractionConfig:
        base = {
            "base_url": f"{server.address}/v1",
            "tokenizer": str(SMALL_MODEL),
            "max_tokens": {"aspects": tokens},
            "http_retries": 2,
        }
        return load_config("local", {"extraction": {"extractor": "openai", "llm": {**base, **llm}}}).extraction

    return make


def extractor_of(settings: ExtractionConfig, warehouse: Warehouse) -> LlmExtractor:
    found = extractors.make_extractor(settings, embed, warehouse, AS_OF)
    assert isinstance(found, LlmExtractor)
    return found


def test_every_request_is_accounted_for_and_asked_once(
    server: Server, settings: Callable[..., ExtractionConfig], warehouse: Warehouse
) -> None:
    reviews = [*REVIEWS, ReviewText("long", "u9", "i1", 5.0, "word " * 3_000)]
    before, usages, reasons = server.answered(), [], []
    for _ in range(2):
        extractor = extractor_of(settings(200, attempts=2), warehouse)
        found = list(extractor.aspects(reviews))
        extractor.close()
        usages.append(extractor.client.usage)
        reasons.append([[refusal.reason for refusal in refusals] for _, refusals in found])
        for review, (aspects, _) in zip(reviews, found, strict=True):
            assert all(review.text[q.start : q.end] == q.quote for q in (aspects.evidence if aspects else ()))
    first, again = usages
    assert sum(first.outcomes.values()) == len(reviews)
    assert first.outcomes["ok"] >= 1
    assert first.outcomes["too_long"] == 1
    assert reasons[0][-1] == ["too_long"]
    assert first.completion_tokens > 0
    # By the server's own count too: the long review never came to it, and nothing came twice.
    assert server.answered() - before == first.asked >= len(REVIEWS)
    assert (again.asked, again.outcomes, reasons[1]) == (0, first.outcomes, reasons[0])
    assert warehouse.read("llm_calls").num_rows == first.asked


@pytest.mark.chaos
def test_a_server_killed_in_the_middle_leaves_only_the_rest_to_ask(
    server: Server,
    settings: Callable[..., ExtractionConfig],
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rest is asked of a fixture that goes by the server's name: a second start would only cost time."""
    reviews = [ReviewText(f"k{i}", f"u{i}", "i1", 5.0, f"{i} weeks of practice and no buzz.") for i in range(16)]
    # Cut off where it stands, one attempt: an answer is an answer.
    config = settings(24, attempts=1, max_concurrent=3)
    extractor = extractor_of(config, warehouse)
    keys = {question.request.key for question in extractor.questions_about_reviews(reviews)}
    recorded: list[str] = []
    record = extractor.client.ledger.record

    def kill_after_four(request, answer, outcome) -> None:  # type: ignore[no-untyped-def]
        record(request, answer, outcome)
        recorded.append(request.key)
        if len(recorded) == 4:
            server.kill()

    monkeypatch.setattr(extractor.client.ledger, "record", kill_after_four)
    started = time.monotonic()
    with pytest.raises(TransientError, match=r"of 16 requests got no answer .* Connection error.* are kept"):
        list(extractor.aspects(reviews))
    assert time.monotonic() - started < 60
    extractor.close()
    kept = set(ResponseCache(warehouse, AS_OF).lookup(keys))
    assert kept == set(recorded)
    assert 4 <= len(kept) < len(keys)

    rest = FixtureBackend(echo)
    rest.model, rest.context_tokens = OpenAIBackend(config.llm).model, config.llm.context_tokens
    monkeypatch.setattr(extractors, "_backend", lambda _: rest)
    after = extractor_of(config, warehouse)
    assert len(list(after.aspects(reviews))) == len(reviews)
    assert {request.key for request in rest.asked} == keys - kept
    assert sum(after.client.usage.outcomes.values()) == len(reviews)
