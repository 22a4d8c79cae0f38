"""Weights alone, for those who have the network's code."""

from typing import Any, BinaryIO

import torch

from .format import Export, Format
from .inputs import Runner
from .metadata import Metadata


class StateDict(Format):
    """A state dict, beside the metadata: ``weights_only=True`` loads it."""

    suffix = '.pth'

    def made(self, export: Export) -> dict[str, Any]:
        """Return the weights."""
        return dict(export.network.state_dict())

    def save(
        self, made: dict[str, Any], file: BinaryIO, metadata: Metadata
    ) -> None:
        """Write the keys ``state_dict`` and ``meta``, as MMEngine has them."""
        torch.save(dict(state_dict=made, meta=metadata), file)

    def loaded(self, file: BinaryIO, export: Export) -> Runner:
        """Return a network that was built anew, with the file's weights."""
        network, graph = export.fresh()
        content = torch.load(file, weights_only=True)
        network.load_state_dict(content['state_dict'])
        return graph
