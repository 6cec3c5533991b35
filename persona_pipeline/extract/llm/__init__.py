"""Persona extraction by an LLM: requests in, typed outcomes out, every answer paid for once."""
