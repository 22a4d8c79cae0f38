"""TorchScript: for LibTorch, and programs of earlier years."""

from typing import Any, BinaryIO

import torch

from mmamp.compat.torch import name_as_identifiers

from .format import Export, Format
from .inputs import Runner
from .metadata import EXTRA, Metadata, as_text


class TorchScript(Format):
    """A graph that ``torch.jit.trace`` has made."""

    suffix = '.pt'

    def made(self, export: Export) -> Any:
        """Return the traced graph."""
        name_as_identifiers(export.network)
        return torch.jit.trace(
            export.graph,
            export.inputs.traced(),
            check_trace=False,  # the written file is
        )

    def save(self, made: Any, file: BinaryIO, metadata: Metadata) -> None:
        """Write the graph, with the metadata as an extra file."""
        torch.jit.save(made, file, _extra_files={EXTRA: as_text(metadata)})

    def loaded(self, file: BinaryIO, export: Export) -> Runner:
        """Return the graph of the file."""
        graph: Runner = torch.jit.load(file, map_location='cpu')
        return graph
