"""Run the fine-tune's training loop: AdamW with linear warm-up and decay, checkpoints, early stopping on held-out pairs."""

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import get_linear_schedule_with_warmup

from persona_pipeline.config import FinetuneConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.progress import log_progress
from persona_pipeline.encoder.finetune.base import Base
from persona_pipeline.encoder.finetune.batches import Batch, make_batch, rows_of_step
from persona_pipeline.encoder.finetune.checkpoints import State, load_checkpoint, save_checkpoint
from persona_pipeline.encoder.finetune.examples import Examples, split
from persona_pipeline.encoder.finetune.gradient_cache import (
    ProcessTexts,
    cached_backward,
    encode,
    processes,
    random_state,
    restore_random_state,
    texts_of_process,
)
from persona_pipeline.encoder.finetune.objective import Temperature, batch_loss

logger = logging.getLogger(__name__)

Validate = Callable[[Base, Temperature], float]


class Finetune:
    """A training run: model, data, optimiser and progress.

    Attributes:
        base: trained in place; after `run`, the best of the validated states, or the last where there is no validation.
        losses: (steps made, loss of the last of them).
        validations: (steps made, result of `validate`).

    Args:
        base: loaded on every process from the same folder.
        examples: the same on every process.
        digest: of all inputs of this run, to tell its checkpoints from others'.
        validate: lower is better; must return the same on every process. By default the loss of held-out users' pairs.
    """

    def __init__(
        self, base: Base, examples: Examples, config: FinetuneConfig, digest: str = "", validate: Validate | None = None
    ) -> None:
        torch.manual_seed(config.seed + processes()[0])
        self.base, self.examples, self.config, self.digest = base, examples, config, digest
        self.temperature = Temperature(config.temperature, config.min_temperature, config.max_temperature)
        self.temperature.to(base.device)
        self.rows, self.held_out = split(examples, config.validation_share)
        if len(self.rows) < 2:
            raise PipelineError(f"only {len(self.rows)} pairs to train on; two are needed at least")
        self.optimiser = torch.optim.AdamW(_groups(base, self.temperature, config))
        self.schedule = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
            self.optimiser, round(config.steps * config.warmup_share), config.steps
        )
        self.lengths = base.token_counts(examples.texts)
        self.validate = validate or (self._held_out_loss() if len(self.held_out) > 1 else None)
        self.step = 0
        self.losses: list[tuple[int, float]] = []
        self.validations: list[tuple[int, float]] = []
        self.best: State | None = None

    def run(self, checkpoints: Path | None = None) -> None:
        """Train from the newest checkpoint, or from the start, to the end. Raises PipelineError if the loss is no number."""
        found = load_checkpoint(checkpoints, self.digest) if checkpoints else None
        if found:
            self._restore(*found)
            logger.info("resumed at step %d of %d", self.step, self.config.steps)
        for share, batch in self._prepared():
            if self._out_of_patience():
                break
            self._train_on(share, batch)
            last = self.step == self.config.steps
            if self.validate and (last or self.step % self.config.validate_every == 0):
                self._look()
            if checkpoints and (last or self.step % self.config.checkpoint_every == 0):
                save_checkpoint(checkpoints, self.step, self._state(), random_state(self.base.device))
        if self.best:
            self._load_weights(self.best)

    def _prepared(self) -> Iterator[tuple[ProcessTexts, Batch]]:
        """Yield the remaining steps' batches, each tokenised while the previous batch is trained on."""
        with ThreadPoolExecutor(1) as ahead:
            steps = range(self.step, self.config.steps)
            following = ahead.submit(self.prepare, steps[0]) if steps else None
            for step in steps:
                assert following is not None
                ready = following.result()
                following = ahead.submit(self.prepare, step + 1) if step + 1 < self.config.steps else None
                yield ready

    def prepare(self, step: int) -> tuple[ProcessTexts, Batch]:
        """Prepare a step on the CPU: this process's texts, and the whole batch."""
        rows = rows_of_step(self.rows, step, self.config.batch_size, self.config.seed)
        return self._share(rows, np.random.default_rng([self.config.seed, step, 1]))

    def _share(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[ProcessTexts, Batch]:
        config = self.config
        texts, batch = make_batch(self.examples, rows, config.near_duplicate, config.evidence_per_item, rng)
        found = [self.examples.texts[text] for text in texts]
        return texts_of_process(self.base, found, self.lengths[texts], config.micro_batch_tokens), batch

    def backward(self, share: ProcessTexts, batch: Batch) -> float:
        """Compute the batch's loss and add its gradients to the parameters."""
        there = batch.to(self.base.device)
        return cached_backward(self.base, self.temperature, share, partial(self._loss, batch=there))

    def _train_on(self, share: ProcessTexts, batch: Batch) -> None:
        loss = self.backward(share, batch)
        if not math.isfinite(loss):
            raise PipelineError(f"the loss of step {self.step} is {loss}; lower learning_rate")
        torch.nn.utils.clip_grad_norm_(self.base.parameters(), self.config.max_gradient_norm)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()
        self.temperature.clamp_()
        self.step += 1
        self.losses.append((self.step, loss))
        if self.step % 25 == 0 or self.step in (1, self.config.steps):
            self._log("step %d of %d: loss %.4f, tau %.4f", loss, self.tau)

    def _log(self, text: str, *args: float) -> None:
        log_progress(logger, text, self.step, self.config.steps, *args, done=self.step, of=self.config.steps)

    def _loss(self, embeddings: Tensor, batch: Batch) -> Tensor:
        serving = self.examples.persona_weight, self.examples.aggregation
        return batch_loss(embeddings, batch, self.temperature(), *serving)

    @property
    def tau(self) -> float:
        """The current temperature."""
        return float(self.temperature().item())

    def _held_out_loss(self) -> Validate:
        starts = range(self.config.batch_size, len(self.held_out), self.config.batch_size)
        rng = np.random.default_rng(self.config.seed)
        parts = [self._share(rows, rng) for rows in np.split(self.held_out, starts)]

        @torch.no_grad()
        def mean_loss(base: Base, _temperature: Temperature) -> float:
            losses = [self._loss(encode(base, share), batch.to(base.device)) for share, batch in parts]
            total = sum(float(loss) * len(batch.targets) for loss, (_, batch) in zip(losses, parts, strict=True))
            return total / len(self.held_out)

        return mean_loss

    def _look(self) -> None:
        assert self.validate is not None
        value = self.validate(self.base, self.temperature)
        if value < min((earlier for _, earlier in self.validations), default=math.inf):
            self.best = self._weights()
        self.validations.append((self.step, value))
        self._log("step %d of %d: validation %.4f", value)

    def _out_of_patience(self) -> bool:
        values = [value for _, value in self.validations]
        return bool(values) and len(values) - 1 - int(np.argmin(values)) >= self.config.patience

    def _weights(self) -> State:
        def copied(module: torch.nn.Module) -> State:
            return {name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items()}

        return {"base": copied(self.base), "temperature": copied(self.temperature)}

    def _load_weights(self, weights: State) -> None:
        self.base.load_state_dict(weights["base"])
        self.temperature.load_state_dict(weights["temperature"])

    def _state(self) -> State:
        return {
            "digest": self.digest,
            "step": self.step,
            "losses": self.losses,
            "validations": self.validations,
            "weights": self._weights(),
            "best": self.best,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def _restore(self, state: State, random: list[Tensor] | None) -> None:
        self.step, self.best = state["step"], state["best"]
        self.losses, self.validations = state["losses"], state["validations"]
        self._load_weights(state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        if random:
            restore_random_state(random, self.base.device)


def _groups(base: Base, temperature: Temperature, config: FinetuneConfig) -> list[State]:
    """AdamW's parameter groups: matrices decay; biases, norms and the temperature do not."""
    trained = [parameter for parameter in base.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "lr": config.learning_rate, "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "lr": config.learning_rate, "weight_decay": 0.0},
        {"params": list(temperature.parameters()), "lr": config.temperature_learning_rate, "weight_decay": 0.0},
    ]
