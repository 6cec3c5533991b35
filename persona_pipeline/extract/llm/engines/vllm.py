"""Run LLM requests through vLLM in this process: on a GPU worker, or on a CPU for trials.

The engine is stepped by hand instead of calling `LLM.chat`: it stays full while responses are stored as they finish. A
request is submitted as token ids, so that the tokens counted are the tokens sent.
"""

import hashlib
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from persona_pipeline.config import LlmConfig
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.extract.llm.engines.engine import FINISHED, Answer, EngineDiedError
from persona_pipeline.extract.llm.requests import Request

MODELS = Path(sys.prefix) / "models"
"""Where `make setup` puts models that packages carry."""
SMALL_MODEL = MODELS / "SmolLM2-135M-Instruct"
"""A real LLM, far too weak for real personas: for tests, and for trying the extractor without a GPU."""

_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")
_SMALL = ("*.json", "*.jinja", "*.model")
_SAMPLES, _SAMPLE = 64, 2**16
# Where and how fast it runs, not what it says.
_PLACEMENT = {
    *("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "distributed_executor_backend"),
    *("gpu_memory_utilization", "cpu_offload_gb", "swap_space", "max_num_batched_tokens", "enforce_eager"),
}


class VllmBackend:
    """A model in a local folder."""

    def __init__(self, config: LlmConfig) -> None:
        self._config = config
        self._folder = _model_folder(config.model)
        self.model = f"{config.model}@{config.revision or _revision(self._folder)}{_manner(config.engine_options)}"
        self.context_tokens = config.context_tokens

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        """Count by the model's own tokenizer and chat template."""
        return [len(self.tokens(request)) for request in requests]

    def tokens(self, request: Request) -> list[int]:
        """Render the prompt as token ids."""
        found: list[int] = self._tokenizer.apply_chat_template(
            request.messages, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        return found

    def start(self) -> "VllmEngine":
        """Load the model; takes some ten seconds to minutes."""
        return VllmEngine(self, self._folder, self._config)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self._folder, local_files_only=True)


class VllmEngine:
    """One running vLLM engine."""

    def __init__(self, backend: VllmBackend, folder: Path, config: LlmConfig) -> None:
        # Read by vLLM at import.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB; only the CPU build looks at it
        if config.in_process:
            os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        try:
            from vllm import LLM
        except ImportError as error:
            raise ConfigError(
                "extraction.extractor vllm: vLLM is not installed here. A GPU worker needs requirements-gpu.txt, "
                f"a machine without a GPU requirements-vllm-cpu.txt ({error})"
            ) from error
        self._backend = backend
        self._most = 2 * config.max_concurrent
        self._keys: dict[str, str] = {}
        self._submitted = 0
        try:
            self.llm = LLM(
                model=str(folder),
                max_model_len=config.context_tokens,
                max_num_seqs=config.max_concurrent,
                enable_prefix_caching=True,
                # Per request the flag does nothing (0.32): without it here, a model may loop on white space until its
                # tokens are spent.
                structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
                **config.engine_options,
            )
        except Exception as error:  # vLLM raises many kinds, all of which mean that there is no engine
            raise EngineDiedError(f"vLLM did not start with {folder}: {error}") from error
        self._engine = self.llm.llm_engine
        if not config.in_process:
            _watch(self._engine.engine_core)

    def room(self) -> int:
        """Room up to twice the running batch, so that its scheduler always has requests waiting."""
        return self._most - len(self._keys)

    def submit(self, request: Request) -> None:
        """Queue a request."""
        tokens = self._backend.tokens(request)
        self._submitted += 1
        request_id = str(self._submitted)
        try:
            self._engine.add_request(request_id, {"prompt_token_ids": tokens}, self._sampling(request))
        except Exception as error:  # on any error the engine did not take the request
            raise EngineDiedError(f"vLLM took no request: {error}") from error
        self._keys[request_id] = request.key

    def poll(self) -> list[Answer]:
        """Step the engine once."""
        if not self._keys:
            return []
        try:
            outputs: Any = self._engine.step()
        except Exception as error:  # any error in a step breaks the engine
            raise EngineDiedError(f"vLLM broke down: {type(error).__name__}: {error}") from error
        answers = []
        for output in outputs:
            if output.finished:
                done = output.outputs[0]
                finish = FINISHED.get(done.finish_reason, "error")
                answers.append(
                    Answer(
                        self._keys.pop(output.request_id),
                        done.text,
                        finish,
                        len(output.prompt_token_ids or ()),
                        len(done.token_ids),
                        f"vLLM ended it with {done.finish_reason}",
                    )
                )
        return answers

    def close(self) -> None:
        """End the engine's process."""
        core = getattr(self._engine, "engine_core", None)
        if core is not None:
            core.shutdown()

    def _sampling(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        s = request.sampling
        return SamplingParams(
            temperature=s.temperature,
            max_tokens=s.max_tokens,
            seed=s.seed,
            structured_outputs=StructuredOutputsParams(json=dict(request.schema)),
        )


def _watch(core: Any) -> None:
    """Wake a waiting `step` when the engine's process ends.

    A process that is killed sends no message. vLLM (0.32) then marks its client as dead and ends the thread that fills
    the queue of outputs, but leaves `step` waiting at that queue for ever.
    """
    processes, outputs = getattr(core.resources.engine_manager, "sentinels", None), core.outputs_queue
    if processes is None:
        return  # Ray's actors, which are no processes of ours

    def wake() -> None:
        wait(processes())
        outputs.put(RuntimeError("the engine's process has ended"))

    threading.Thread(target=wake, name="vllm-watch", daemon=True).start()


def _model_folder(name: str) -> Path:
    if not name:
        raise ConfigError("extraction.llm.model: name the folder of a model; nothing is downloaded at run time")
    for folder in (Path(name), MODELS / name):
        if (folder / "config.json").is_file():
            return folder
    raise ConfigError(
        f"extraction.llm.model {name}: no model there, nor in {MODELS} (a folder with config.json is expected)"
    )


def _revision(folder: Path) -> str:
    """Hash a model folder: its small files whole, of its weights the size and samples spread over the file."""
    seen = hashlib.sha256()
    for path in sorted(p for pattern in _SMALL for p in folder.glob(pattern)):
        seen.update(path.name.encode() + path.read_bytes())
    for path in sorted(p for pattern in _WEIGHTS for p in folder.glob(pattern)):
        size = path.stat().st_size
        seen.update(f"{path.name}:{size}".encode())
        with path.open("rb") as weights:
            for block in range(_SAMPLES):
                weights.seek(block * max(size - _SAMPLE, 0) // (_SAMPLES - 1))
                seen.update(weights.read(_SAMPLE))
    return seen.hexdigest()[:12]


def _manner(options: Mapping[str, Any]) -> str:
    """Encode the engine options that may change a response, as part of the model's name."""
    telling = sorted((key, str(value)) for key, value in options.items() if key not in _PLACEMENT)
    return "".join(f";{key}={value}" for key, value in telling)
