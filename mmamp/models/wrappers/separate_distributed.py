"""Data-parallel training of several networks, each on its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.model import (
    MMSeparateDistributedDataParallel,
    is_model_wrapper,
)
from torch import nn

from mmamp.compat.torch import on_state_dict, versions_of
from mmamp.distributed.no_sync import no_sync
from mmamp.registry import MODEL_WRAPPERS
from mmamp.utils.modules import (
    check_networks_hold_all,
    check_networks_share_none,
)


@MODEL_WRAPPERS.register_module()
class SeparateDistributedDataParallel(MMSeparateDistributedDataParallel):
    """MMEngine's ``MMSeparateDistributedDataParallel``, put right.

    Each trainable child of the model is wrapped in a
    ``DistributedDataParallel`` of its own, and the model's ``train_step`` is
    the one that runs. Beyond MMEngine's: it works on the CPU, ``no_sync``
    covers all children, checkpoints have the names of a model that is not
    wrapped (with MMEngine's none of the networks is loaded again), and
    parameters that no child holds, whose gradients
    nothing would average, are an error.

    Args:
        module (nn.Module): The model.
        broadcast_buffers (bool): Whether buffers are those of rank 0 in each
            forward pass. Defaults to False.
        find_unused_parameters (bool): Whether a network may have parameters
            that a forward pass does not use. Defaults to False.
        **kwargs: Other arguments of torch's ``DistributedDataParallel``.

    Raises:
        ValueError: If the model itself has trainable parameters, or two of
            its children share some.

    Examples:
        >>> model_wrapper_cfg = dict(
        ...     type='mmamp.SeparateDistributedDataParallel')
    """

    def __init__(
        self,
        module: nn.Module,
        broadcast_buffers: bool = False,
        find_unused_parameters: bool = False,
        **kwargs: Any,
    ) -> None:
        check_networks_hold_all(
            module,
            'SeparateDistributedDataParallel does not average over the ranks',
        )
        check_networks_share_none(
            module,
            'whose gradients SeparateDistributedDataParallel cannot average '
            'for both',
        )
        if all(param.device.type == 'cpu' for param in module.parameters()):
            # MMEngine's Runner gives the number of a GPU.
            kwargs['device_ids'] = None
        super().__init__(
            module, broadcast_buffers, find_unused_parameters, **kwargs
        )
        on_state_dict(module, _without_wrappers)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Let no network average its gradients over the ranks."""
        with no_sync(self.module):
            yield


def _without_wrappers(
    module: nn.Module,
    state_dict: Any,
    prefix: str,
    local_metadata: dict[str, Any],
) -> None:
    """Name a state's entries as the model without its wrappers would."""
    wrapped = tuple(
        f'{prefix}{name}.module.'
        for name, child in module.named_children()
        if is_model_wrapper(child)
    )
    for names in (state_dict, versions_of(state_dict)):
        items = list(names.items())
        names.clear()
        for name, value in items:
            # Versions of modules are under names without a last dot.
            for start in wrapped:
                if f'{name}.'.startswith(start):
                    rest = name[len(start) - 1 :]
                    name = start.removesuffix('.module.') + rest
            names[name] = value
