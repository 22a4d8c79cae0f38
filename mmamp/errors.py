"""Errors that end a run, and the exit codes they end it with.

Neither torch nor MMEngine is imported: the migration needs these too.
"""

from traceback import extract_tb

USAGE = 2
"""Exit code for a mistake of the user's."""
NOT_FINITE = 3
"""Exit code of a run whose gradients are not finite any more."""
FAILED = 1
"""Exit code of a failure that is not told by another."""
INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ended."""
_OF_WORKER = '\nOriginal Traceback '
"""In the text of an error that torch brings from a worker."""


def of_worker(text: str) -> str:
    """Return what a data worker has raised, as the last line of its traceback.

    Args:
        text (str): Of the error that torch makes of it.

    Returns:
        str: Such as ``'KeyError: 3'``; empty if the text is of no worker.
    """
    if not (text.startswith('Caught ') and _OF_WORKER in text):
        return ''
    return text.rstrip().rpartition('\n')[2]


class UsageError(ValueError):
    """A mistake on the command line or in the config, told in one line."""


class DataError(UsageError):
    """An item of the data cannot be had, told in one line.

    Of an error in a data worker torch makes another one, in whose text the
    worker's traceback is: of that the last line is kept, so that it reads
    the same for any number of workers.

    Args:
        text (str): What is wrong with which item.
    """

    def __init__(self, text: str) -> None:
        super().__init__(of_worker(text).partition(': ')[2] or text)


class OptimizerError(UsageError, RuntimeError):
    """The step of an optimizer has failed, told in one line."""


class StorageError(OSError):
    """A file could not be written; the text says what to do, in one line."""


class NonFiniteTrainingError(RuntimeError):
    """Training cannot go on: its gradients are not finite any more.

    ``mmamp.train`` ends with exit code 3 then.
    """


class PartedRanksError(RuntimeError):
    """The ranks of a run train different weights, told in one line.

    ``mmamp.train`` ends with exit code 1 then.
    """


class PackageExit(RuntimeError):
    """A package has ended the process, as if all were well.

    ``mmamp.train`` and ``mmamp.test`` end with exit code 1 then.

    Args:
        exit (SystemExit): How.
        words (str): What it had said; empty if nobody knows.
    """

    def __init__(self, exit: SystemExit, words: str = '') -> None:
        frames = extract_tb(exit.__traceback__)
        places = [x for x in frames if x.name != '__call__'] or frames
        where = f'{places[-1].filename}:{places[-1].lineno}' if places else ''
        super().__init__(
            f'{words or "what it printed is above"} (the process was ended by '
            f'`exit()` in {where or "a place that is not known"})'
        )


class Preempted(SystemExit):
    """The run was asked to end, and has saved a checkpoint.

    Exit code 0: a scheduler shall not take it for a failure.

    Attributes:
        checkpoint (str): Path of the checkpoint.
    """

    def __init__(self, checkpoint: str) -> None:
        super().__init__(0)
        self.checkpoint = checkpoint
