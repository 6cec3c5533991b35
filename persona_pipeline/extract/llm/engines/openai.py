"""Send LLM requests to an OpenAI-compatible server, with bounded concurrency.

The client library backs off and retries on 429, 5xx and lost connections (it honours Retry-After); a request that still
fails then is an engine error of that one request. A refused key or an unknown model is a fault for a person, and raised
at once.
"""

import asyncio
import json
import math
import os
import queue
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from persona_pipeline.config import LlmConfig
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.extract.llm.engines.engine import FINISHED, Answer
from persona_pipeline.extract.llm.requests import Request

KEY_VARIABLE = "PERSONA_LLM_API_KEY"
_BYTES_PER_TOKEN = 3  # English has four and more, Chinese about three: an estimate that errs towards too many tokens
_TEMPLATE_TOKENS = 40


class OpenAIBackend:
    """A model by its name on the server."""

    def __init__(self, config: LlmConfig) -> None:
        if not config.base_url:
            raise ConfigError(
                "extraction.llm.base_url: the server's address is missing, for example http://llm:8000/v1"
            )
        if not config.model:
            raise ConfigError("extraction.llm.model: name the model as its server does")
        self._config = config
        extra = json.dumps(config.extra_body, sort_keys=True) if config.extra_body else ""
        self.model = f"{config.model}@{config.revision or 'unversioned'}{extra}"
        self.context_tokens = config.context_tokens

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        """Count by the tokenizer in `extraction.llm.tokenizer`, else estimate from the bytes."""
        if self._config.tokenizer:
            return [
                len(self._tokenizer.apply_chat_template(r.messages, add_generation_prompt=True, return_dict=False))
                for r in requests
            ]
        return [math.ceil(len((r.system + r.user).encode()) / _BYTES_PER_TOKEN) + _TEMPLATE_TOKENS for r in requests]

    def start(self) -> "OpenAIEngine":
        """Start an engine; nothing is sent before the first request."""
        return OpenAIEngine(self._config)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self._config.tokenizer, local_files_only=True)


class OpenAIEngine:
    """Client with an event loop in a thread of its own, so that storing responses never delays requests."""

    def __init__(self, config: LlmConfig) -> None:
        from openai import AsyncOpenAI

        self._config = config
        self._client = AsyncOpenAI(
            base_url=config.base_url,
            # Servers without keys accept any; the client insists on one.
            api_key=os.environ.get(KEY_VARIABLE, "none"),
            max_retries=config.http_retries,
            timeout=config.http_timeout,
        )
        self._finished: queue.Queue[Answer | Exception] = queue.Queue()
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openai", daemon=True)
        self._thread.start()

    def room(self) -> int:
        """Remaining concurrent requests."""
        return self._config.max_concurrent - self._open

    def submit(self, request: Request) -> None:
        """Send a request."""
        self._open += 1
        asyncio.run_coroutine_threadsafe(self._ask(request), self._loop)

    def poll(self) -> list[Answer]:
        """Responses received; waits up to a second. Raises ConfigError where no request can succeed."""
        found: list[Answer] = []
        if not self._open:
            return found
        try:
            item = self._finished.get(timeout=1.0)
            while True:
                self._open -= 1
                if isinstance(item, Exception):
                    if not found:
                        raise item
                    # What was answered first, so that it is kept.
                    self._open += 1
                    self._finished.put(item)
                    return found
                found.append(item)
                item = self._finished.get_nowait()
        except queue.Empty:
            return found

    def close(self) -> None:
        """Cancel requests in flight and end the thread."""

        async def stop() -> None:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await self._client.close()

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()

    async def _ask(self, request: Request) -> None:
        import openai

        sampling = request.sampling
        messages: Any = request.messages  # plain dicts are what the TypedDicts describe
        format_: Any = {
            "type": "json_schema",
            "json_schema": {"name": request.stage, "schema": dict(request.schema), "strict": True},
        }
        try:
            reply = await self._client.chat.completions.create(
                model=self._config.model,
                messages=messages,
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                seed=sampling.seed,
                response_format=format_,
                extra_body=self._config.extra_body or None,
            )
            choice, usage = reply.choices[0], reply.usage
            finish = FINISHED.get(choice.finish_reason, "error")
            answer = Answer(
                request.key,
                choice.message.content or "",
                finish,
                usage.prompt_tokens if usage else 0,
                usage.completion_tokens if usage else 0,
                f"the server ended it with {choice.finish_reason}",
            )
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            self._finished.put(ConfigError(f"{self._config.base_url} refuses model {self._config.model}: {error}"))
            return
        except Exception as error:  # every request must return an answer, or polling never ends
            answer = Answer(request.key, "", "error", 0, 0, f"{type(error).__name__}: {error}")
        self._finished.put(answer)
