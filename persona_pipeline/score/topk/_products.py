"""Multiply users with a chunk of personas in int8, bfloat16 or float32 on a CPU (first pass), and bound the quantisation error."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from persona_pipeline.embeddings.model import has_bfloat16
from persona_pipeline.score.topk._compiled import to_whole
from persona_pipeline.score.topk._first_pass import tensor

Precision = Literal["int8", "bfloat16", "float32"]

# CPUs without int8 dot products of their own add two neighbouring products in 16 bits: 2 x 255 x 64 fits, 2 x 255 x 65 does not.
_PERSONA_LEVELS, _ZERO, _USER_LEVELS = 127, 128, 64
_TINY = float(np.finfo(np.float32).tiny)
_ROWS = 4096  # of personas made whole at once by a thread
_ROUNDED = 1 + 1e-4  # lengths of what rounding left are themselves rounded


def best_precision() -> Precision:
    """Choose int8 on x86, where it takes half of float32's time even without VNNI; else bfloat16 where native, else float32."""
    # Elsewhere it may be as exact and done one by one.
    if "AVX" in torch.backends.cpu.get_cpu_capability() and multiplies_int8():
        return "int8"
    return "bfloat16" if has_bfloat16("cpu") else "float32"


@cache
def multiplies_int8() -> bool:
    """Whether torch's product of uint8 and int8 is exact on this CPU, tested on the largest numbers it will be given."""
    chance = torch.Generator().manual_seed(0)
    personas = torch.randint(_ZERO - _PERSONA_LEVELS, _ZERO + _PERSONA_LEVELS + 1, (96, 512), generator=chance)
    users = torch.randint(-_USER_LEVELS, _USER_LEVELS + 1, (48, 512), generator=chance)
    personas[:2], users[:2] = torch.tensor([[_ZERO + _PERSONA_LEVELS], [_ZERO - _PERSONA_LEVELS]]), _USER_LEVELS
    users[1] *= -1
    try:
        multiply = _Int8Product(users.to(torch.int8), torch.ones(len(users)), 1.0)
        found = multiply(personas.to(torch.uint8))
    except (AttributeError, RuntimeError):  # an operator of oneDNN, which not every build of torch has
        return False
    return bool((found == ((personas - _ZERO) @ users.T).float()).all())


class _Int8Product:
    """Product of quantised personas and users, scaled back to float32."""

    def __init__(self, users: Tensor, steps: Tensor, step: float) -> None:
        self._step, self._steps = step, steps
        self._users = torch.ops.onednn.qlinear_prepack(users, None)
        self._zeros = torch.zeros(len(users), dtype=torch.int32)

    def __call__(self, personas: Tensor) -> Tensor:
        """Multiply (personas, d) uint8 with the users; returns (personas, users) float32."""
        found: Tensor = torch.ops.onednn.qlinear_pointwise(
            personas,
            self._step,
            _ZERO,
            self._users,
            self._steps,
            self._zeros,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        return found


@dataclass(frozen=True, slots=True)
class Personas:
    """Consecutive personas of an item index in the precision they are multiplied in.

    Attributes:
        precision: of their products.
        rows: (personas, d) uint8 with zero point `_ZERO`, padded to `at_once` rows; or float32, the item index's own memory.
        at_once: personas of one product.
        step: quantisation step.
        residual: largest length of a quantisation residual; 0 for float32.
        norm: largest length of a vector.
        rounded_norm: largest length of a quantised vector.
    """

    precision: Precision
    rows: Tensor
    at_once: int
    step: float
    residual: float
    norm: float
    rounded_norm: float

    @classmethod
    def of(cls, vectors: np.ndarray, precision: Precision, at_once: int) -> "Personas":
        """Prepare (personas, d) float32 vectors."""
        exact = tensor(vectors)
        norm = float(exact.norm(dim=1).max())
        if precision != "int8":
            return cls(precision, exact, at_once, 1.0, 0.0, norm, norm)
        step = max(float(torch.maximum(exact.max(), -exact.min())), _TINY) / _PERSONA_LEVELS
        rows = np.empty((max(len(vectors), at_once), vectors.shape[1]), np.uint8)
        rows[len(vectors) :] = _ZERO

        def part(start: int) -> tuple[float, float]:
            own = slice(start, start + _ROWS)
            return to_whole(vectors[own], step, _PERSONA_LEVELS, _ZERO, rows[own])

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            residual, rounded_norm = np.max(list(pool.map(part, range(0, len(vectors), _ROWS))), axis=0).tolist()
        # `step` is a double, and multiples were made in float32: each is off by 2**-24 of itself.
        residual = residual * _ROUNDED + 2.0**-23 * rounded_norm
        return cls(precision, torch.from_numpy(rows), at_once, step, residual, norm, rounded_norm * _ROUNDED)


def longest(users: np.ndarray, personas: Personas) -> float:
    """Bound the largest dot product of users (users, d) and personas, whether users are quantised or not."""
    most, d = float(np.abs(users).max(initial=0.0)), users.shape[1]
    rounded = most / (2 * _USER_LEVELS) * d**0.5 if personas.precision == "int8" else 0.0
    return (float(np.linalg.norm(users, axis=1).max()) + rounded) * max(personas.norm, personas.rounded_norm)


class Products:
    """Scores of one tile of users, a chunk of personas at a time."""

    def __init__(self, personas: Personas, users: np.ndarray, over: float, wide: int) -> None:
        """Prepare `users` (users, d) float64, padded to `wide` rows; scores are divided by `over`."""
        self._personas = personas
        self._multiply: Callable[[Tensor], Tensor]
        exact = torch.zeros(wide, users.shape[1], dtype=torch.float64)
        exact[: len(users)] = torch.from_numpy(users)
        self.residuals = np.zeros(len(users))
        if personas.precision == "int8":
            steps = exact.abs().amax(1).clamp_(min=_TINY) / _USER_LEVELS
            whole = (exact / steps[:, None]).round_()
            self.residuals = (exact - whole * steps[:, None]).norm(dim=1).numpy()[: len(users)] * _ROUNDED
            self._multiply = _Int8Product(whole.to(torch.int8), (steps / over).float(), personas.step)
        elif personas.precision == "bfloat16":
            turned = (exact / over).T.to(torch.bfloat16).contiguous()
            self._multiply = lambda rows: (rows.to(torch.bfloat16) @ turned).float()
        else:
            single = (exact / over).T.float().contiguous()
            self._multiply = lambda rows: rows @ single

    def __call__(self, low: int, high: int) -> Tensor:
        """Multiply rows `low` to `high` of the personas, at most `at_once`; returns (high - low, wide) float32."""
        rows, many = self._personas.rows, self._personas.at_once
        first = max(0, min(low, len(rows) - many))
        return self._multiply(rows[first : first + many])[low - first : high - first]

    def errors(self, users: np.ndarray) -> np.ndarray:
        """Bound (users,) the quantisation error of u . p.

        It is u . (p - p') + (u - u') . p', at most the lengths of its factors by Cauchy-Schwarz.
        """
        personas = self._personas
        found: np.ndarray = np.linalg.norm(users, axis=1) * personas.residual + self.residuals * personas.rounded_norm
        return found
