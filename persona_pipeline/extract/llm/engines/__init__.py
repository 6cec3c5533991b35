"""Serve LLM requests: vLLM in this process, or a server that speaks the OpenAI protocol."""
