"""One small world for every test here: all personas, all kinds of noise, 250 people."""

from pathlib import Path

import pytest

from persona_pipeline.sources.synthetic import SyntheticConfig, SyntheticWorld, generate, write


@pytest.fixture(scope="session")
def config() -> SyntheticConfig:
    return SyntheticConfig(
        seed=7, n_users=250, n_items=160, n_reviews=1_500, days=180, repeat_share=0.02, contact_share=0.02
    )


@pytest.fixture(scope="session")
def world(config: SyntheticConfig) -> SyntheticWorld:
    return generate(config)


@pytest.fixture(scope="session")
def folder(world: SyntheticWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "world"
    write(world, folder)
    return folder
