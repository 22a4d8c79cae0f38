"""torch.export: what torch runs, compiles and converts further."""

from typing import Any, BinaryIO

import torch
from torch.export import Dim, ExportedProgram

from mmamp.compat.torch import name_as_identifiers, sizes_of_one

from .format import Export, Format
from .inputs import Inputs, Runner
from .metadata import EXTRA, Metadata, as_text

LARGEST = 2**16
"""Of a batch, or of the multiples that a side of an image has: torch wants
to know one, and 2.4 that its multiples are integers too."""


class TorchExport(Format):
    """A graph that ``torch.export`` has made."""

    suffix = '.pt2'

    def made(self, export: Export) -> ExportedProgram:
        """Return the program."""
        return program_of(export)

    def save(
        self, made: ExportedProgram, file: BinaryIO, metadata: Metadata
    ) -> None:
        """Write the program, with the metadata as an extra file."""
        extra = {EXTRA: as_text(metadata)}
        torch.export.save(made, file, extra_files=extra)

    def loaded(self, file: BinaryIO, export: Export) -> Runner:
        """Return the program of the file."""
        return torch.export.load(file).module()


def program_of(export: Export) -> ExportedProgram:
    """Have torch export a graph.

    Args:
        export (Export): What is written.
    """
    name_as_identifiers(export.network)
    inputs = export.inputs
    with sizes_of_one():
        return torch.export.export(
            export.graph,
            inputs.traced(),
            dynamic_shapes=_dynamic(inputs),
            strict=False,
        )


def _dynamic(inputs: Inputs) -> dict[str, dict[int, Any]]:
    """Return the open sides as torch has them, each name one side."""
    axes = {x for of in inputs.axes.values() for x in of.values()}
    sides = {axis: Dim(axis.name, max=LARGEST) for axis in axes}
    return {
        name: {
            i: axis.multiple * sides[axis]
            if axis.multiple > 1
            else sides[axis]
            for i, axis in of.items()
        }
        for name, of in inputs.axes.items()
    }
