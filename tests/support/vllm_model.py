"""Tests with a real vLLM: whether they can run here, and what makes its engine start sooner."""

from importlib.util import find_spec

import pytest

from persona_pipeline.extract.llm.engines.vllm import SMALL_MODEL

needs_model = pytest.mark.skipif(
    not (SMALL_MODEL / "config.json").is_file() or find_spec("vllm") is None,
    reason="vLLM's CPU build or the small model is not installed here",
)

ONE_PROCESS = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
"""A `distributed_executor_backend`: the model runs in the engine's process instead of one more that imports vLLM too."""
