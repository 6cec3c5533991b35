"""Errors a person is expected to read: each says what is wrong, where, and what to do."""


class PipelineError(Exception):
    """A fault in input, configuration or environment. Shown without a traceback; exit code 1."""


class TransientError(PipelineError):
    """Something outside failed that may well work the next time; a retry is worth it."""


class ConfigError(PipelineError):
    """A configuration file or option is wrong."""


class SourceError(PipelineError):
    """Input files are missing, unreadable, or not what the adapter expects."""


class ContractError(PipelineError):
    """Rows do not satisfy the contract of the table they were meant for. Nothing was written."""


class LeakError(PipelineError):
    """What is evaluated has seen what was withheld from it, or cannot show that it has not."""


class ReleaseError(PipelineError):
    """A night cannot be published, or a release cannot be resolved."""


class BusyError(TransientError):
    """Another process is writing the same thing, or wrote it meanwhile. Nothing of this attempt counts."""
