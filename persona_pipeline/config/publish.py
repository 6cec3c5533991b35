"""Define settings of audit, releases and report: drift limits, retention, users shown."""

from pydantic import Field

from persona_pipeline.config.stage import StageConfig


class LimitsConfig(StageConfig):
    """Drift limits against the parent release, beyond which the audit refuses a run."""

    replaced: float = Field(
        0.5, ge=0, le=1, description="share of a user's list that is new, the mean over users of both nights"
    )
    score_shift: float = Field(
        0.5,
        ge=0,
        description="furthest that the 10%, 50% or 90% quantile of scores moves, in units of the distance from 10% to 90% "
        "in the parent release",
    )
    lost_users: float = Field(0.05, ge=0, le=1, description="share of the parent's users who have no list tonight")
    fewer_items: float = Field(0.3, ge=0, le=1, description="share by which the number of recommended items falls")


class InputLimitsConfig(StageConfig):
    """Limits on the night's input, beyond which the audit refuses a run until a person accepts it."""

    stale_days: float = Field(
        30, ge=0, description="days from the newest review to the night: an input that no longer grows"
    )
    stale_event_days: float = Field(
        30, ge=0, description="the same of events that are not reviews, where there are any"
    )
    fewer_reviews: float = Field(
        0.2,
        ge=0,
        le=1,
        description="share by which reviews are fewer than in the parent release: a part of the input is missing",
    )
    fewer_events: float = Field(0.2, ge=0, le=1, description="the same of events that are not reviews")
    more_empty_texts: float = Field(
        0.2, ge=0, le=1, description="by how much the share of reviews without words exceeds the parent release's"
    )
    items_without_metadata: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of reviewed items that the metadata, where there is any, does not name: ids that do not match",
    )


class ReleasesConfig(StageConfig):
    """The audit's limits against the parent release, and how long releases are kept."""

    limits: LimitsConfig = LimitsConfig()
    input: InputLimitsConfig = InputLimitsConfig()
    limits_after_change: LimitsConfig = Field(
        LimitsConfig(replaced=0.9, score_shift=5.0, lost_users=0.5, fewer_items=0.7),
        description="in the place of limits on a night with another encoder, other settings or another extractor than its parent's",
    )
    keep: int = Field(14, ge=1, description="published nights whose tables, at the versions they name, stay readable")
    grace_hours: int = Field(
        24, ge=0, description="a younger file is never deleted: a commit in flight or a reader may need it"
    )


class ReportConfig(StageConfig):
    """The night's page."""

    users: int = Field(10, ge=1, description="users shown in the report")
