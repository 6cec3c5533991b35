"""What a search tried and took, and how it is told."""

from dataclasses import dataclass
from typing import Any

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.terminal import counted


@dataclass(frozen=True, slots=True)
class SettingsTrial:
    """Settings tried against those that stood.

    Attributes:
        settings: those that differ, by name.
        before: what stood in their place.
        ndcg: mean NDCG@10 reached.
        gain, error: mean over users of the difference to what stood, and its standard error.
        taken: whether they stand from here on.
    """

    settings: dict[str, Any]
    before: dict[str, Any]
    ndcg: float
    gain: float
    error: float
    taken: bool

    def told(self) -> str:
        """As `prior_weight 0 to 16: +.0123 (standard error .0034)`."""
        changes = ", ".join(f"{name} {_plain(self.before[name])} to {_plain(v)}" for name, v in self.settings.items())
        return f"{changes}: {self.gain:+.4f} (standard error {self.error:.4f})"


@dataclass(frozen=True, slots=True)
class ChosenSettings:
    """Settings chosen, and why.

    Attributes:
        config: to train with.
        users: whose last liked interaction was predicted; 0 where there were too few to choose by.
        start, reached: mean NDCG@10 of the settings the search began with, and of those chosen; one head each.
        trials: in the order they were made.
        left_out: settings there was no time for.
    """

    config: EncodersConfig
    users: int
    start: float
    reached: float
    trials: tuple[SettingsTrial, ...]
    left_out: int

    def reasons(self) -> list[str]:
        """What was chosen and why, in words, with the figures."""
        if not self.users:
            return ["too few users to tune settings on: they are as configured"]
        last = f"{counted(len(self.trials), 'setting')} tried on the last liked interaction of {counted(self.users, 'user')}"
        told = f"tuned: {last}; NDCG@10 {self.start:.4f} at first, {self.reached:.4f} as chosen"
        if self.left_out:
            told += f"; no time for {self.left_out} more (encoders.tuning_minutes)"
        taken = [f"tuned: {trial.told()}" for trial in self.trials if trial.taken]
        return [told, *(taken or ["tuned: no other settings were better by enough to tell"])]

    def metrics(self) -> dict[str, float]:
        """Figures for `encoders`."""
        if not self.users:
            return {}
        counts = {"tuning_users": self.users, "tuning_trials": len(self.trials), "tuning_left_out": self.left_out}
        return {**counts, "tuning_ndcg_start": self.start, "tuning_ndcg": self.reached}


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
