"""The OpenAI-compatible engine against a server on loopback that refuses, delays and breaks in the ways servers do."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from persona_pipeline.config import LlmConfig
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.extract.llm.engines.engine import Answer
from persona_pipeline.extract.llm.engines.openai import KEY_VARIABLE, OpenAIBackend, OpenAIEngine
from persona_pipeline.extract.llm.requests import Request, Sampling

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class Server(ThreadingHTTPServer):
    """Answers with the user's text; `script` holds statuses to give first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[int] = []
        self.seen: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.finish = "stop"
        self.body: Any = None
        self.delay = 0.0
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append(body)
            self.server.headers.append(self.headers["Authorization"])
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
            status = self.server.script.pop(0) if self.server.script else 200
        time.sleep(self.server.delay)
        with self.server.lock:
            self.server.under_way -= 1
        message = {"role": "assistant", "content": body["messages"][-1]["content"]}
        reply: dict[str, Any] = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": self.server.finish, "message": message}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }
        if self.server.body is not None:
            reply = self.server.body
        content = json.dumps(reply if status == 200 else {"error": {"message": f"status {status}"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == 429:
            self.send_header("Retry-After", "0.1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def request(user: str) -> Request:
    return Request("item_personas", user, "system", user, SCHEMA, "m@unversioned", Sampling(20, 0.5, 3))


def config(server: Server, **settings: Any) -> LlmConfig:
    base = {"model": "m", "base_url": f"http://127.0.0.1:{server.server_port}/v1", "http_retries": 2}
    return LlmConfig.model_validate({**base, **settings})


def ask(engine: OpenAIEngine, requests: list[Request]) -> dict[str, Answer]:
    waiting = list(requests)
    found: dict[str, Answer] = {}
    try:
        while waiting or len(found) < len(requests):
            while waiting and engine.room() > 0:
                engine.submit(waiting.pop())
            found |= {answer.key: answer for answer in engine.poll()}
    finally:
        engine.close()
    return found


def test_the_whole_request_is_sent_and_the_answer_matched_by_key(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    requests = [request(f"text {n}") for n in range(9)]
    answers = ask(OpenAIBackend(config(server, extra_body={"top_k": 5})).start(), requests)
    assert {r.key: r.user for r in requests} == {key: answer.text for key, answer in answers.items()}
    assert next(iter(answers.values())).prompt_tokens == 7
    sent = next(body for body in server.seen if body["messages"][-1]["content"] == "text 4")
    assert sent["messages"][0] == {"role": "system", "content": "system"}
    assert (sent["max_tokens"], sent["temperature"], sent["seed"], sent["top_k"]) == (20, 0.5, 3, 5)
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    assert set(server.headers) == {"Bearer secret"}


def test_concurrency_is_bounded_and_used(server: Server) -> None:
    server.delay = 0.05
    ask(OpenAIBackend(config(server, max_concurrent=4)).start(), [request(f"{n}") for n in range(16)])
    assert 2 <= server.most_under_way <= 4


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again_until_it_answers(server: Server, status: int) -> None:
    server.script = [status, status]
    (answer,) = ask(OpenAIBackend(config(server)).start(), [request("a")]).values()
    assert (answer.finish, answer.text) == ("stop", "a")
    assert len(server.seen) == 3


def test_a_server_that_stays_broken_is_an_engine_error_of_that_request(server: Server) -> None:
    server.script = [500] * 3
    (answer,) = ask(OpenAIBackend(config(server)).start(), [request("a")]).values()
    assert answer.finish == "error"
    assert "500" in answer.detail


def test_no_server_at_all_is_an_engine_error() -> None:
    gone = LlmConfig(model="m", base_url="http://127.0.0.1:9/v1", http_retries=0)
    (answer,) = ask(OpenAIBackend(gone).start(), [request("a")]).values()
    assert answer.finish == "error"
    assert "Connection" in answer.detail


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_or_unknown_model_is_a_fault_for_a_person(server: Server, status: int) -> None:
    server.script = [status]
    with pytest.raises(ConfigError, match=f"refuses model m: .*{status}"):
        ask(OpenAIBackend(config(server)).start(), [request("a")])


def test_a_reply_cut_off_by_the_server_is_of_length(server: Server) -> None:
    server.finish = "length"
    (answer,) = ask(OpenAIBackend(config(server)).start(), [request("a")]).values()
    assert answer.finish == "length"


def test_without_a_tokenizer_tokens_are_estimated_from_above(server: Server) -> None:
    text = "The strings have a bright tone and they last for months on end. " * 10
    (count,) = OpenAIBackend(config(server)).count_tokens([request(text)])
    assert count > len(text) / 4


@pytest.mark.parametrize(("settings", "said"), [({"base_url": ""}, "base_url"), ({"model": ""}, "llm.model")])
def test_missing_settings_are_named(server: Server, settings: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        OpenAIBackend(config(server, **settings))


@pytest.mark.parametrize("body", [{"error": {"message": "busy"}}, {"choices": []}, "a page", ["x"], {}])
def test_whatever_a_server_sends_the_request_comes_back(server: Server, body: Any) -> None:
    server.body = body
    (answer,) = ask(OpenAIBackend(config(server)).start(), [request("a")]).values()
    assert answer.finish == "error"


def test_a_reply_the_server_filtered_is_no_answer(server: Server) -> None:
    server.finish = "content_filter"
    (answer,) = ask(OpenAIBackend(config(server)).start(), [request("a")]).values()
    assert (answer.finish, "content_filter" in answer.detail) == ("error", True)


def test_fields_of_our_own_are_part_of_the_model(server: Server) -> None:
    plain, other = OpenAIBackend(config(server)), OpenAIBackend(config(server, extra_body={"top_p": 0.5}))
    assert plain.model != other.model
