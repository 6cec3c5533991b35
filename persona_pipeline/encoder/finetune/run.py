"""Fine-tune the base model within a run: tables to a base in `_artefacts/bases`, trained in a process of its own.

The base lies in `_artefacts/bases/<id>`, where the id is a hash of all inputs of the training, and appears there
atomically. Beside it, hidden and until then: the prepared data, the settings, the checkpoints an interrupted training
resumes from, and a lock.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from filelock import lock_descriptor

from persona_pipeline.config import PipelineConfig
from persona_pipeline.core.errors import PipelineError, TransientError
from persona_pipeline.embeddings.cache import Embedder, embedder_of
from persona_pipeline.embeddings.model_names import BASES, tuned_model
from persona_pipeline.encoder.finetune.prepared import SERVING, prepare
from persona_pipeline.encoder.text_inputs import persona_texts
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.warehouse import Warehouse


def tuned_base(warehouse: Warehouse, config: PipelineConfig, versions: Mapping[str, int]) -> Embedder:
    """Fine-tune the configured base on the run's tables, unless the result exists already; returns its embedder.

    Args:
        versions: of the tables it is trained on.

    Raises PipelineError where the training fails, TransientError where it was, or may have been, killed: a retry resumes
    from its last checkpoint.
    """
    configured = Embedder(config.text_embeddings, warehouse)
    folder = warehouse.root / BASES / base_id(configured.base_model, config, versions)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        data = folder.with_name(f".{folder.name}.data")
        # Near-duplicate personas are found by the untrained base, whichever embeds the run's other texts.
        configured.ensure(sorted(set(persona_texts(warehouse)["text"].to_pylist())))
        prepare(warehouse, data, configured.base_model, config)
        _train(folder, data, config)
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return embedder_of(tuned_model(configured.base_model, folder), config.text_embeddings, warehouse)


def base_id(base_model: str, config: PipelineConfig, versions: Mapping[str, int]) -> str:
    """Hash of all inputs of a fine-tuned base; settings of the head alone are left out."""
    parts = (
        base_model,
        TEXT_VERSION,
        config.encoders.finetune.decisive(),
        config.encoders.model_dump(mode="json", include=SERVING),
        config.training_pairs.model_dump(mode="json"),
        sorted(versions.items()),
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _train(folder: Path, data: Path, config: PipelineConfig) -> None:
    settings = folder.with_name(f".{folder.name}.yaml")
    settings.write_text(config.encoders.finetune.model_dump_json(), encoding="utf-8")  # JSON is YAML
    command = [*_python(config.encoders.finetune.processes), "-m", "persona_pipeline.encoder.finetune"]
    command += ["--data", str(data), "--output", str(folder), "--config", str(settings)]
    command += ["--base", config.text_embeddings.base_model]
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        # The training holds it too: where this job is killed alone, the next attempt waits for what still runs.
        lock_descriptor(lock.fileno())
        if folder.is_dir():
            return
        code = subprocess.run(command, pass_fds=(lock.fileno(),), check=False).returncode
    if code:
        told = f"was killed by signal {-code}" if code < 0 else f"ended with {code}, see the lines above"
        # torchrun exits with 1 however its processes ended.
        fault = TransientError if code < 0 or config.encoders.finetune.processes > 1 else PipelineError
        raise fault(f"the fine-tune {told}; run again, it goes on from its last checkpoint")


def _python(processes: int) -> list[str]:
    if processes == 1:
        return [sys.executable]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
