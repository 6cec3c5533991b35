"""Define settings of extraction: extractor, LLM, prompts, token limits, and numbers of personas."""

from typing import Any, Literal

from pydantic import Field

from persona_pipeline.config.stage import StageConfig

ExtractorName = Literal["embedded", "vllm", "openai"]


class LlmTokensConfig(StageConfig):
    """Token limits of a reply, by prompt; a reply that is cut off is requested again with twice as many."""

    aspects: int = Field(320, ge=16, description="aspects of a review, per_review")
    summary: int = Field(160, ge=16, description="summary of an item")
    personas: int = Field(1_400, ge=16, description="personas of an item, per_review")
    cluster: int = Field(160, ge=16, description="one point of an item, per_cluster")
    choice: int = Field(240, ge=16, description="a judge's choice of persona")


class LlmConfig(StageConfig):
    """The LLM and its requests. The API key of a server comes from the environment: PERSONA_LLM_API_KEY."""

    OPERATIONAL = frozenset({
        "max_concurrent", "max_engine_errors", "engine_restarts", "token_ceiling", "tokens_per_second", "cost_per_hour",
        "max_shards", "shard_tokens", "in_process", "http_retries", "http_timeout",
    })  # fmt: skip

    model: str = Field(
        "",
        description="vllm: a folder, or a name under models/ of the virtual environment; openai: the server's name for it",
    )
    revision: str = Field("", description="what tells two models of one name apart; vllm reads it off the files")
    method: Literal["per_cluster", "per_review"] = Field(
        "per_cluster",
        description="per_cluster: one short request about each point that several reviewers make; per_review: aspects of every "
        "evidence review, then one request an item, as in the paper",
    )
    prompt_pack: str = Field("shopping", description="words of the domain: shopping, books or restaurants")
    prompts: str = Field(
        "", description="folder whose *.jinja2 and packs/*.yaml replace the packaged ones of the same name; empty: none"
    )
    context_tokens: int = Field(8_192, ge=256, description="prompt and reply together")
    max_tokens: LlmTokensConfig = LlmTokensConfig()
    temperature: float = Field(0.0, ge=0, description="of the first attempt")
    retry_temperature: float = Field(0.7, ge=0, description="at least this after a malformed reply, with another seed")
    seed: int = Field(0, description="of the first attempt")
    attempts: int = Field(3, ge=1, description="requests about one subject at most")
    max_concurrent: int = Field(64, ge=1, description="requests an engine works on at once")
    max_engine_errors: float = Field(
        0.02,
        ge=0,
        le=1,
        description="the task fails when the engine leaves a larger share of requests, and more than three, without an answer",
    )
    engine_restarts: int = Field(3, ge=0, description="engines that may die before the task fails")
    token_ceiling: int = Field(
        0,
        ge=0,
        description="a night that would need more tokens, prompts and whole replies, is stopped before it asks "
        "(the judge, bounded by judged_pairs, comes on top); 0: none",
    )
    tokens_per_second: float = Field(2_000, gt=0, description="what one engine does, prompts and replies; for plans")
    cost_per_hour: float = Field(0.0, ge=0, description="what an hour of one engine costs; for plans")
    max_shards: int = Field(8, ge=1, le=64, description="engines the night's requests are split over at most")
    shard_tokens: int = Field(
        500_000, ge=1, description="tokens, prompts and replies, from which another engine is worth its start"
    )
    judged_pairs: int = Field(
        0,
        ge=0,
        description="training pairs an LLM judges at most, always the same ones; a thousand tell agreement to 3 points; 0: none",
    )
    ledger: str = Field(
        "",
        description="warehouse whose llm_calls are used and added to, so that a backtest pays for nothing twice; empty: its own",
    )
    in_process: bool = Field(
        False, description="vllm: no process of its own for the engine; starts sooner, but its death is the task's"
    )
    engine_options: dict[str, Any] = Field(
        default_factory=dict, description="passed to vLLM: tensor_parallel_size, quantization, dtype and the like"
    )
    base_url: str = Field("", description="openai: the server, for example http://llm:8000/v1")
    tokenizer: str = Field("", description="openai: folder of the model's tokenizer, to count tokens exactly")
    http_retries: int = Field(6, ge=0, description="openai: tries after 429, 5xx or a lost connection, backing off")
    http_timeout: float = Field(300.0, gt=0, description="openai: seconds for one reply")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="openai: further fields of each request")


class ExtractionConfig(StageConfig):
    """Aspects, summaries and personas."""

    extractor: ExtractorName = Field("embedded", description="who extracts; embedded needs no LLM")
    published: str = Field(
        "",
        description="file of ready-made personas, as the paper publishes them: JSON lines with item_id and personas (Name, "
        "Description, Preference_Rationale), held against reviews or description like an LLM's reply; empty: none",
    )
    max_personas: int = Field(7, ge=1, le=7, description="personas per item at most")
    min_personas: int = Field(
        2, ge=1, le=7, description="personas asked for at least, of an item with reviews enough for as many (LLM)"
    )
    refresh_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="an item's personas are made anew once its evidence has moved further: 1 - Jaccard of its review ids "
        "and those at the last extraction; 0: with every change",
    )
    reviews_per_persona: int = Field(
        3, ge=1, description="an item gets at most one persona per this many usable reviews, and at least one (LLM)"
    )
    llm: LlmConfig = LlmConfig()
    match_threshold: float = Field(
        0.5, ge=0, le=1, description="likeness at which a regenerated persona keeps an earlier one's id"
    )
