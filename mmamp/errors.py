"""Errors that end a run, and the exit codes they end it with.

Neither torch nor MMEngine is imported: the migration needs these too.
"""

USAGE = 2
"""Exit code for a mistake of the user's."""
NOT_FINITE = 3
"""Exit code of a run whose gradients are not finite any more."""
INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ended."""


class UsageError(ValueError):
    """A mistake on the command line or in the config, told in one line."""


class StorageError(OSError):
    """A file could not be written; the text says what to do, in one line."""


class NonFiniteTrainingError(RuntimeError):
    """Training cannot go on: its gradients are not finite any more.

    ``mmamp.train`` ends with exit code 3 then.
    """


class Preempted(SystemExit):
    """The run was asked to end, and has saved a checkpoint.

    Exit code 0: a scheduler shall not take it for a failure.

    Attributes:
        checkpoint (str): Path of the checkpoint.
    """

    def __init__(self, checkpoint: str) -> None:
        super().__init__(0)
        self.checkpoint = checkpoint
