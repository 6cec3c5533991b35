"""Extract personas by an LLM: build requests, cache responses (`llm_calls`), validate replies into typed outcomes."""
