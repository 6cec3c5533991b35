"""Define the errors meant for users: each message names the fault, where it is, and what to do."""


class PipelineError(Exception):
    """A fault in input, configuration or environment. Shown without a traceback; exit code 1."""


class TransientError(PipelineError):
    """A fault outside the pipeline that may not recur; a retry is worthwhile."""


class ConfigError(PipelineError):
    """A configuration file or option is wrong."""


class SourceError(PipelineError):
    """Input files are missing, unreadable, or not what the adapter expects."""


class ContractError(PipelineError):
    """Rows violate the contract of their table. Nothing was written."""


class LeakError(PipelineError):
    """An evaluated model has seen withheld reviews, or cannot show that it has not."""


class ReleaseError(PipelineError):
    """A night cannot be published, or a release cannot be resolved."""


class BusyError(TransientError):
    """Another process is writing the same table or lock, or wrote it meanwhile. Nothing of this attempt counts."""
