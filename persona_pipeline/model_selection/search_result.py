"""Hold the trials and the outcome of a hyperparameter search, and render them as text and as metrics for `encoders`."""

from dataclasses import dataclass
from typing import Any

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.terminal import counted


@dataclass(frozen=True, slots=True)
class SettingsTrial:
    """Settings compared with the current settings of a search.

    Attributes:
        settings: the settings that differ, by name.
        before: their current values.
        ndcg: mean NDCG@10 of the trial.
        gain, error: mean paired difference by user to the current settings, and its standard error.
        taken: whether the search adopted the trial.
    """

    settings: dict[str, Any]
    before: dict[str, Any]
    ndcg: float
    gain: float
    error: float
    taken: bool

    def told(self) -> str:
        """Render as `prior_weight 0 to 16: +.0123 (standard error .0034)`."""
        changes = ", ".join(f"{name} {_plain(self.before[name])} to {_plain(v)}" for name, v in self.settings.items())
        return f"{changes}: {self.gain:+.4f} (standard error {self.error:.4f})"


@dataclass(frozen=True, slots=True)
class ChosenSettings:
    """Outcome of a search.

    Attributes:
        config: to train with.
        users: number of evaluation users; 0 where there were too few to search.
        start, reached: mean NDCG@10 of the initial and of the chosen settings; one head each.
        trials: in the order they were made.
        left_out: trials the time budget did not allow.
    """

    config: EncodersConfig
    users: int
    start: float
    reached: float
    trials: tuple[SettingsTrial, ...]
    left_out: int

    def reasons(self) -> list[str]:
        """Explain the outcome in words, with figures."""
        if not self.users:
            return ["too few users to tune settings on: they are as configured"]
        last = f"{counted(len(self.trials), 'setting')} tried on the last liked interaction of {counted(self.users, 'user')}"
        told = f"tuned: {last}; NDCG@10 {self.start:.4f} at first, {self.reached:.4f} as chosen"
        if self.left_out:
            told += f"; no time for {self.left_out} more (encoders.tuning_minutes)"
        taken = [f"tuned: {trial.told()}" for trial in self.trials if trial.taken]
        return [told, *(taken or ["tuned: no other settings were better by enough to tell"])]

    def metrics(self) -> dict[str, float]:
        """Figures for the `metrics` of `encoders`."""
        if not self.users:
            return {}
        counts = {"tuning_users": self.users, "tuning_trials": len(self.trials), "tuning_left_out": self.left_out}
        return {**counts, "tuning_ndcg_start": self.start, "tuning_ndcg": self.reached}


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
