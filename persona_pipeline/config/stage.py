"""Define the base class of stage settings: frozen, unknown keys refused, operational settings excluded from digests."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class StageConfig(BaseModel):
    """Settings of one stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    OPERATIONAL: ClassVar[frozenset[str]] = frozenset()
    """Settings of the stage that decide no row: they say when, where or how fast work is done, or when it is stopped."""

    @classmethod
    def operational(cls) -> frozenset[str]:
        """Dotted names of all settings, here and in nested stages, that do not affect results."""
        found = set(cls.OPERATIONAL)
        for name, field in cls.model_fields.items():
            stage = field.annotation
            if name not in found and isinstance(stage, type) and issubclass(stage, StageConfig):
                found |= {f"{name}.{setting}" for setting in stage.operational()}
        return frozenset(found)

    def decisive(self) -> dict[str, Any]:
        """The settings that affect results, as plain values by name."""
        plain = self.model_dump(mode="json", exclude=set(self.OPERATIONAL))
        return plain | {
            name: value.decisive() for name, value in self if name in plain and isinstance(value, StageConfig)
        }
