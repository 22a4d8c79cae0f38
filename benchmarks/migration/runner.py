"""LibCST's runner with a codemod that does nothing: ``runner.py DIR N``."""

import sys

import libcst as cst
from libcst.codemod import (
    CodemodContext,
    VisitorBasedCodemodCommand,
    gather_files,
    parallel_exec_transform_with_prettyprint,
)


class Nothing(VisitorBasedCodemodCommand):
    """A codemod that leaves all as it is."""

    DESCRIPTION = 'Nothing.'

    def leave_Module(
        self, original_node: cst.Module, updated_node: cst.Module
    ) -> cst.Module:
        """Leave a file."""
        return updated_node


if __name__ == '__main__':
    folder, jobs = sys.argv[1:]
    result = parallel_exec_transform_with_prettyprint(
        Nothing(CodemodContext()),
        gather_files([folder]),
        jobs=int(jobs),
        hide_progress=True,
    )
    sys.exit(result.failures > 0)
