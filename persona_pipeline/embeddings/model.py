"""Run a base model over texts: sentence-transformers in length-bucketed batches, bfloat16 where the processor has it."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from persona_pipeline.config import TextEmbeddingsConfig
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.embeddings.length_bucketing import within_budget


class TextModel:
    """A sentence-transformers model, run in length-bucketed batches under bfloat16 where the CPU has it."""

    def __init__(self, config: TextEmbeddingsConfig) -> None:
        folder = model_folder(config.base_model)  # before imports that take seconds
        import torch
        from sentence_transformers import SentenceTransformer

        self.config = config
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        self._model.max_seq_length = min(config.max_tokens, self._model.max_seq_length or config.max_tokens)
        self._autocast = torch.autocast(device, torch.bfloat16, enabled=has_bfloat16(device))

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        dimensions = self._model.get_embedding_dimension()
        assert dimensions is not None
        return dimensions

    def encode(self, texts: list[str]) -> np.ndarray:
        """Embed texts, (n, d), in batches of similar token count, which saves padding."""
        import torch

        tokens = self._tokens(texts)
        counts = np.array([len(ids) for ids in tokens["input_ids"]])
        order = np.argsort(-counts, kind="stable")
        matrix = np.empty((len(texts), self.dimensions), np.float32)
        with torch.inference_mode(), self._autocast:
            for start, end in within_budget(counts[order].tolist(), self.config.batch_tokens):
                rows = order[start:end]
                batch = {name: [values[i] for i in rows] for name, values in tokens.items()}
                features = self._model.tokenizer.pad(batch, return_tensors="pt").to(self._model.device)
                matrix[rows] = self._model({**features})["sentence_embedding"].float().cpu().numpy()
        normalised: np.ndarray = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        return normalised

    def _tokens(self, texts: list[str]) -> dict[str, list[list[int]]]:
        """Tokenise the texts without padding: their lengths decide the batches."""
        unpadded: Any = {"text": {"padding": False}, "common": {"return_tensors": None}}
        found = self._model.preprocess(texts, processing_kwargs=unpadded)
        return {name: values for name, values in found.items() if isinstance(values, list)}


def has_bfloat16(device: str) -> bool:
    """Whether the base model runs under bfloat16 on `cuda` or `cpu`."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def model_folder(name: str) -> Path:
    """A local folder, or the `model` folder of an installed package. Raises ConfigError when it is neither."""
    if Path(name).is_dir():
        return Path(name)
    try:
        package = import_module(name)
    except ImportError:
        raise ConfigError(
            f"text_embeddings.base_model {name}: neither a folder nor an installed package; "
            "nothing is downloaded at run time"
        ) from None
    folder = Path(str(package.__file__)).parent / "model"
    if not folder.is_dir():
        raise ConfigError(f"text_embeddings.base_model {name}: the package has no model folder")
    return folder
