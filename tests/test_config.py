"""Profiles, overrides, refusals that name file and key, and the digest."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from persona_pipeline.config import EncodersConfig, PipelineConfig, load_config
from persona_pipeline.core.errors import ConfigError

# For every stage but spark and keyed, which say where work is done, one setting of each field that differs from its default.
OTHER: dict[str, dict[str, Any]] = {
    "reviews": {"max_rejected_share": 0.1, "max_characters": 4000, "withheld": "test.parquet", "columns": {"text": "body"},
                "item_columns": {"title": "name"}, "rating_scale": [1, 10], "time_format": "%d.%m.%Y", "complete": False,
                "withdrawn": "ids.txt", "pseudonymous_users": True, "quiet_seconds": 5.0, "wait_minutes": 1.0,
                "expect_success": True, "spam_users": 4, "spam_items": 20},
    "interactions": {"file": "events.csv", "source": "movielens", "columns": {"kind": "what"}, "time_format": "%d.%m.%Y",
                     "weights": {"buy": 0.9}, "default_weight": 0.1, "seen_weight": 0.2, "max_rejected_share": 0.1},
    "candidates": {"file": "lists.parquet", "max_rejected_share": 0.1, "max_unknown_share": 0.5, "blind": True},
    "eligibility": {"file": "windows.csv", "full_catalogue": True, "blocks": "blocks.csv"},
    "item_reviews": {"max_reviews": 30, "max_bytes": 9_000},
    "user_histories": {"length": 10},
    "extraction": {"extractor": "vllm", "max_personas": 5, "reviews_per_persona": 2, "match_threshold": 0.7,
                   "llm": {"model": "qwen"}, "min_personas": 1, "refresh_share": 0.2, "published": "personas.jsonl"},
    "text_embeddings": {"base_model": "/models/bge-m3", "max_tokens": 512, "batch_tokens": 4096, "commit_texts": 100},
    "training_pairs": {"min_liked_rating": 3.0},
    "encoders": {
        "method": "full", "finetune": {"steps": 5}, "half_life": 2.0, "recency": "days", "steps": 10, "batch_size": 64,
        "learning_rate": 1e-3, "temperature": 0.05,
        "aggregation": "max", "popularity_weight": 0.0, "popularity_support": 2.5, "retrain_every_days": 1,
        "seed": 7, "age_half_life_days": 0.0,
        "persona_weight": 1.0, "heads": 1, "prior": "ease", "prior_weight": 2.0, "prior_neighbours": 50, "gate_margin": 0.01,
        "prior_engine": "spark", "training_histories": "earlier", "title_weight": 2.0, "creator_weight": 1.0,
        "categories_weight": 1.0, "description_weight": 1.0, "temperature_learning_rate": 0.0, "tuning_minutes": 1.0,
        "tuned": ["steps"], "max_pairs": 1_000,
    },
    "user_item_topk": {"k": 5, "exclude_reviewed": False, "candidates": "only", "candidates_weight": 0.3, "user_buckets": 2,
                       "block_bytes": 2**24, "shelf_bytes": 2**24, "max_changed_share": 0.5, "device": "cuda",
                       "precision": "float32", "max_per_category": 3, "category_level": 2, "max_per_creator": 1},
    "releases": {"limits": {"replaced": 0.2}, "limits_after_change": {"score_shift": 9.0}, "input": {"stale_days": 9}, "keep": 3,
                 "grace_hours": 0},
    "report": {"users": 3},
}  # fmt: skip
SETTINGS = [(stage, key) for stage, settings in OTHER.items() for key in settings]


def write(folder: Path, text: str) -> Path:
    path = folder / "shop.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("profile", ["local", "gpu"])
def test_profiles_load(profile: str) -> None:
    assert load_config(profile).extraction.max_personas == 7


def test_profiles_differ_where_they_say() -> None:
    local, gpu = load_config("local"), load_config("gpu")
    assert gpu.spark.driver_memory == "32g"
    assert gpu.text_embeddings.batch_tokens > local.text_embeddings.batch_tokens
    assert gpu.encoders == local.encoders


def test_default_is_the_local_profile() -> None:
    assert load_config() == load_config("local")


def test_file_is_read(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "user_item_topk: {k: 5}\nencoders:\n  aggregation: max\n"))
    assert (config.user_item_topk.k, config.encoders.aggregation) == (5, "max")
    assert config.user_item_topk.exclude_reviewed is True


def test_what_the_file_sets_is_not_the_nights_to_choose(tmp_path: Path) -> None:
    left = load_config("local").encoders
    assert left.tuned == EncodersConfig.TUNABLE
    given = load_config(write(tmp_path, "encoders: {half_life: 3, prior: none}\n")).encoders
    assert given.tuned == tuple(name for name in EncodersConfig.TUNABLE if name not in ("half_life", "prior"))
    assert EncodersConfig.model_validate_json(given.model_dump_json()) == given
    only = load_config(write(tmp_path, "encoders: {tuned: [steps, half_life]}\n")).encoders
    assert only.tuned == ("steps", "half_life")
    with pytest.raises(ConfigError, match=r"encoders\.tuned: .*a night cannot choose seed"):
        load_config(write(tmp_path, "encoders: {tuned: [seed]}\n"))


def test_empty_file_means_the_local_profile(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "# nothing yet\n")) == load_config("local")


def test_overrides_win_and_keep_the_rest_of_the_stage(tmp_path: Path) -> None:
    path = write(tmp_path, "extraction: {extractor: vllm, max_personas: 4}\n")
    config = load_config(path, {"extraction": {"extractor": "embedded"}})
    assert (config.extraction.extractor, config.extraction.max_personas) == ("embedded", 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("encoders: {temprature: 0.2}", "unknown key encoders.temprature; did you mean temperature?"),
        ("encoders: {finetune: {setps: 5}}", "unknown key encoders.finetune.setps; did you mean steps?"),
        ("encoders: {finetune: {temperature: 0.9}}", "temperature 0.9 is not between min_temperature 0.02 and max"),
        ("encoder: {steps: 5}", "unknown key encoder; did you mean encoders?"),
        ("extraction: {llm: {modle: x}}", "unknown key extraction.llm.modle; did you mean model?"),
        ("extraction: {llm: {max_tokens: {persona: 9}}}", "extraction.llm.max_tokens.persona; did you mean personas?"),
        ("report: {zzz: 1}", "unknown key report.zzz; known keys: users"),
        ("user_item_topk: {k: many}", "user_item_topk.k: Input should be a valid integer"),
        ("user_item_topk: {block_bytes: 1048576}", "ranking keeps to no less than 16777216 bytes, on any processor"),
        ("extraction: {extractor: oracle}", "extraction.extractor: Input should be 'embedded', 'vllm' or 'openai'"),
        ("extraction: {max_personas: 8}", "extraction.max_personas: Input should be less than or equal to 7 (found 8)"),
        ("extraction: embedded", "extraction: Input should be a valid dictionary"),
        ("- encoders", "expected a mapping of stages to settings, found list"),
        ("encoders: {steps: 5", "not valid YAML"),
    ],
)
def test_faults_name_the_file_and_the_key(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    assert str(raised.value).startswith(f"config {path}: ")
    assert said in str(raised.value)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(write(tmp_path, "report: {users: 0}\nencoders: {steps: -1}\n"))
    assert len(str(raised.value).splitlines()) == 2


def test_override_of_a_malformed_stage_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="extraction: Input should be a valid dictionary"):
        load_config(write(tmp_path, "extraction: embedded"), {"extraction": {"extractor": "embedded"}})


def test_override_is_checked_too() -> None:
    with pytest.raises(ConfigError, match=r"unknown key extraction\.extracter; did you mean extractor"):
        load_config("local", {"extraction": {"extracter": "vllm"}})


def test_missing_file_names_the_profiles() -> None:
    with pytest.raises(ConfigError, match=r"config nightly\.yaml: no such file, .*there are: local, gpu"):
        load_config("nightly.yaml")


def test_config_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        PipelineConfig().encoders.steps = 5  # type: ignore[misc]


def test_digest_ignores_where_spark_runs() -> None:
    elsewhere = {
        "master": "yarn",
        "driver_memory": "64g",
        "shuffle_partitions": 200,
        "conf": {"spark.ui.enabled": "false"},
    }
    assert load_config("local", {"spark": elsewhere}).digest() == load_config("local").digest()


def test_other_settings_cover_the_whole_configuration() -> None:
    stages = {
        name: field.annotation for name, field in PipelineConfig.model_fields.items() if name not in ("spark", "keyed")
    }
    assert {stage: set(settings) for stage, settings in OTHER.items()} == {
        name: set(stage.model_fields) for name, stage in stages.items() if stage is not None
    }


def test_settings_that_decide_no_row() -> None:
    found = PipelineConfig.operational()
    assert {"spark", "releases", "report"} <= found
    assert {name for name in found if name.startswith(("text_embeddings.", "user_item_topk.", "encoders."))} == {
        "text_embeddings.batch_tokens", "text_embeddings.commit_texts",
        "user_item_topk.max_changed_share", "user_item_topk.block_bytes", "user_item_topk.device", "user_item_topk.precision",
        "user_item_topk.shelf_bytes",
        "encoders.prior_engine", "encoders.retrain_every_days", "encoders.gate_margin",
        "encoders.finetune.processes", "encoders.finetune.micro_batch_tokens", "encoders.finetune.checkpoint_every",
    }  # fmt: skip
    assert "user_item_topk.k" not in found
    assert not any(name.startswith("report.") for name in found)  # the whole stage is


def test_a_setting_either_decides_rows_or_is_named_as_one_that_does_not() -> None:
    def names(stage: type[BaseModel], values: dict[str, Any], prefix: str = "") -> set[str]:
        found = set()
        for name, value in values.items():
            inner = stage.model_fields[name].annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel) and f"{prefix}{name}" not in others:
                found |= names(inner, value, f"{prefix}{name}.")
            else:
                found.add(f"{prefix}{name}")
        return found

    config, others = PipelineConfig(), PipelineConfig.operational()
    every, decisive = (names(PipelineConfig, values) for values in (config.model_dump(), config.decisive()))
    assert decisive | others == every
    assert not decisive & others


def test_digest_changes_with_every_other_setting() -> None:
    digests = [load_config("local", {stage: {key: OTHER[stage][key]}}).digest() for stage, key in SETTINGS]
    assert len({load_config("local").digest(), *digests}) == len(SETTINGS) + 1


def test_a_file_is_read_over_the_profile_it_names(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("spark: {shuffle_partitions: 9}\n")
    config = load_config(mine)
    assert config.spark.shuffle_partitions == 9
    assert config.spark.conf == load_config("local").spark.conf != {}
    mine.write_text("profile: gpu\nspark: {shuffle_partitions: 9}\n")
    assert load_config(mine).spark.driver_memory == load_config("gpu").spark.driver_memory
    mine.write_text("profile: tpu\n")
    with pytest.raises(ConfigError, match="there is no profile tpu"):
        load_config(mine)


def test_folders_a_file_names_are_beside_it(tmp_path: Path) -> None:
    (tmp_path / "my-model").mkdir()
    llm = "{model: my-model, tokenizer: some/name, prompts: prompts, ledger: /elsewhere}"
    found = load_config(write(tmp_path, f"extraction: {{llm: {llm}}}\n")).extraction.llm
    assert (found.model, found.tokenizer) == (str(tmp_path / "my-model"), "some/name")
    assert (found.prompts, found.ledger) == (str(tmp_path / "prompts"), "/elsewhere")


def test_input_files_are_beside_the_configuration(tmp_path: Path) -> None:
    eligibility = "eligibility: {file: windows.csv, blocks: blocks.csv}\n"
    config = load_config(
        write(tmp_path, f"reviews: {{withheld: test.parquet}}\ncandidates: {{file: lists}}\n{eligibility}")
    )
    assert (config.reviews.withheld, config.candidates.file, config.eligibility.file, config.eligibility.blocks) == (
        str(tmp_path / "test.parquet"),
        str(tmp_path / "lists"),
        str(tmp_path / "windows.csv"),
        str(tmp_path / "blocks.csv"),
    )


def test_a_gpu_ranks_in_no_int8() -> None:
    with pytest.raises(ConfigError, match="precision int8 is of processors"):
        load_config("local", {"user_item_topk": {"device": "cuda", "precision": "int8"}})
