"""Networks sharded over the ranks: ``torch.distributed.fsdp.fully_shard``."""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from zipfile import is_zipfile

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size, is_distributed
from mmengine.logging import print_log
from mmengine.model import BaseAveragedModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import distributed, nn

from mmamp.checkpoint.keys import TRAINING_WEIGHTS, WINDOW
from mmamp.checkpoint.parts import Layout, dealt_out
from mmamp.checkpoint.storage import is_remote
from mmamp.compat.mmengine import DDPStrategy
from mmamp.compat.torch import (
    CAN_SHARD,
    maps_files,
    set_up_sharding,
    set_versions,
    versions_of,
)
from mmamp.distributed.sharding import (
    Place,
    gathered,
    is_sharded,
    shard_like,
    with_tensors,
)
from mmamp.distributed.unused import UnusedParameters
from mmamp.engine.optimizers.amp_optim_wrapper import AmpOptimWrapper
from mmamp.precision.dtypes import casts
from mmamp.registry import STRATEGIES
from mmamp.utils.checks import check_bool, check_int
from mmamp.utils.modules import params_of

from .networks import (
    average_shards,
    check_methods,
    check_units,
    find_units,
    in_order,
    make_contiguous,
    networks,
    register_methods,
    shard,
)
from .optimizers_on_shards import try_on_shards
from .param_dtype import LowPrecisionForward, check_param_dtype, param_dtype_of

_FROM_RUNNER = (
    *('work_dir', 'experiment_name', 'auto_scale_lr'),
    *('env_kwargs', 'log_kwargs'),
)
"""What a ``FlexibleRunner`` gives a strategy."""


@STRATEGIES.register_module()
class FSDP2Strategy(DDPStrategy):
    r"""Shard parameters, gradients and optimizer states over the ranks.

    By FSDP2, torch's ``fully_shard``, for one network or several. A model
    that overrides ``train_step``, such as a GAN, has each of its networks
    sharded by itself, averages of them included; any other is sharded as a
    whole. Parameters are gathered for a forward pass and again for backward,
    and let go of in between; gradients are averaged over the ranks into
    shards with every micro-batch. A checkpoint holds whole tensors, in
    MMEngine's format: one process, or any other number of ranks, can go on
    from it. In a single process nothing is sharded.

    Args:
        units (Sequence[str]): Regular expressions that match names of modules
            in full, such as ``r'generator\.blocks\.\d+'``; each such module
            is gathered and let go of by itself, so that no rank ever holds a
            network whole. What is averaged follows the original. Modules of
            several units that share a weight are one unit. Defaults to none: a
            network is one unit.
        param_dtype (str): What parameters are gathered in (gradients are
            reduced in float32). ``'auto'`` is the dtype of the network's
            optimizer wrapper, half as much to send, where that changes
            nothing but the rounding; and float32 in networks with BatchNorm,
            with spectral norm, with penalties on gradients, and beside
            :class:`~mmamp.engine.hooks.precision_hook.PrecisionHook`.
            ``'float32'`` is float32 everywhere: the forward pass casts.
            Defaults to ``'auto'``.
        shard_size (int, optional): Ranks that a network is sharded over, such
            as those of a machine; each such group, of neighbours, holds all of
            it, and gradients are averaged over the groups too. Among many
            ranks that is what keeps traffic from growing: FSDP2 gives each
            rank whole rows, and sends as many as there are ranks, even where
            a layer has fewer. Has to divide the number of ranks. Defaults to
            None: all.
        sync_bn (str, optional): As in MMEngine's ``DDPStrategy``. Defaults to
            None.
        forward_methods (Sequence[str]): Methods other than ``forward`` that
            need a sharded module's parameters, behind the name of a network
            or unit, such as ``'generator.encode'``. Defaults to none.
        find_unused_parameters (bool): Whether parameters that no rank has
            reached in a window are left as they are, as in one process, and
            whole units may be left out, by all ranks alike; takes one small
            reduction a window. Without it such parameters have gradients of
            zero. What only some ranks reach is averaged over all either way.
            Defaults to False.
        **kwargs: What ``FlexibleRunner`` gives a strategy.

    Raises:
        UsageError: If an optimizer cannot step on shards; if a window's
            gradients did not come to a unit.
        TypeError: If ``units`` is not a list of regular expressions, or
            ``forward_methods`` of names.
        ValueError: If ``param_dtype`` is another; if ``shard_size`` does not
            divide the number of ranks; if a pattern matches no
            module; if there is no such method; if the model, overriding
            ``train_step``, has parameters outside of its networks, or some
            that two networks share.
        ImportError: If torch is older than 2.7.

    Examples:
        >>> strategy = dict(
        ...     type='mmamp.FSDP2Strategy',
        ...     units=[r'generator\.blocks\.\d+'])
    """

    def __init__(
        self,
        *,
        units: Sequence[str] = (),
        param_dtype: str = 'auto',
        shard_size: int | None = None,
        sync_bn: str | None = None,
        forward_methods: Sequence[str] = (),
        find_unused_parameters: bool = False,
        **kwargs: Any,
    ) -> None:
        if unknown := sorted(set(kwargs) - set(_FROM_RUNNER)):
            raise TypeError(
                f'FSDP2Strategy has no argument {", ".join(unknown)}; it '
                'takes units, param_dtype, shard_size, sync_bn, '
                'forward_methods and find_unused_parameters'
            )
        if not CAN_SHARD:
            raise ImportError(
                'FSDP2Strategy needs torch >= 2.7, but '
                f'{torch.__version__} is installed'
            )
        self.units = check_units(units)
        self.param_dtype = check_param_dtype(param_dtype)
        self.shard_size = (
            None if shard_size is None else check_int('shard_size', shard_size)
        )
        self.forward_methods = check_methods(forward_methods)
        self.find_unused_parameters = check_bool(
            'find_unused_parameters', find_unused_parameters
        )
        self._unused: UnusedParameters | None = None
        self._mesh: Any = None
        self._is_new = True
        self._gathers = True
        self._saved: tuple[dict[str, Any], dict[str, Any]] | None = None
        self._optim_wrapper_cfg: Any = None
        super().__init__(sync_bn=sync_bn, **kwargs)

    def prepare(self, model: Any, **kwargs: Any) -> Any:
        """Build what is trained; see MMEngine's ``SingleDeviceStrategy``."""
        self._optim_wrapper_cfg = kwargs.get('optim_wrapper')
        prepared = super().prepare(model, **kwargs)
        built: Any = getattr(self, 'optim_wrapper', None)
        if built is not None and self._mesh is not None and self._is_new:
            self._is_new = False
            several = isinstance(built, OptimWrapperDict)
            for wrapper in built.values() if several else [built]:
                if isinstance(wrapper, AmpOptimWrapper):
                    wrapper.unused = self._unused
                optimizer = wrapper.optimizer
                for one in getattr(optimizer, 'members', [optimizer]):
                    try_on_shards(one, self._mesh)
        return prepared

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        """Shard the model, and move what is left whole to the device.

        FSDP2 moves a unit there while it is sharded, and no more than that.
        """
        model = self.convert_model(model)
        if not is_distributed():
            model = model.to(get_device())
            print_log(
                'FSDP2Strategy: one process, so nothing is sharded',
                logger='current',
            )
            return model
        found = networks(model)
        make_contiguous(model)
        units = find_units(model, self.units)
        mesh = self._mesh = self._make_mesh()
        for name, network in found.items():
            dtype = param_dtype_of(
                self.param_dtype,
                name,
                network,
                model,
                self._optim_wrapper_cfg,
            )
            mine = in_order(network, units)
            for modules in [*mine, [network]]:
                shard(modules, mesh, dtype)
            # Else FSDP2 would ask what is trainable when the network first
            # runs, in a GAN maybe while it is frozen.
            set_up_sharding(network)
            if casts(dtype):
                LowPrecisionForward(dtype).install(network)
            if isinstance(network, BaseAveragedModel):
                average_shards(network)
            print_log(
                f'FSDP2Strategy: {name or "the model"} is sharded over '
                f'{mesh.size(-1)} ranks, in {len(mine) + 1} unit(s), '
                f'gathered in {str(dtype).removeprefix("torch.")}',
                logger='current',
            )
        trained = {
            name: network
            for name, network in found.items()
            if not isinstance(network, BaseAveragedModel)
        }
        self._unused = UnusedParameters(trained, self.find_unused_parameters)
        register_methods(model, self.forward_methods)
        return model.to(get_device())

    def _make_mesh(self) -> Any:
        """Return the ranks: groups that shard, and as many copies."""
        kind = torch.device(get_device()).type
        ranks, size = get_world_size(), self.shard_size
        if size is None or size == ranks:
            return distributed.device_mesh.init_device_mesh(kind, (ranks,))
        if ranks % size:
            divisors = [x for x in range(1, ranks + 1) if ranks % x == 0]
            raise ValueError(
                f'FSDP2Strategy: shard_size={size} does not divide the '
                f'{ranks} ranks; {", ".join(map(str, divisors))} do'
            )
        return distributed.device_mesh.init_device_mesh(
            kind, (ranks // size, size), mesh_dim_names=('copies', 'shards')
        )

    # ---- state: whole on the way out, dealt out on the way in --------------

    def save_checkpoint(
        self, filename: str, *, save_optimizer: bool = True, **kwargs: Any
    ) -> None:
        """Gather on all ranks, and write on the main one.

        Args:
            filename (str): Path of the checkpoint.
            save_optimizer (bool): Whether the optimizers' state is in it.
                Defaults to True.
            **kwargs: As in MMEngine's ``DDPStrategy``.
        """
        has_optimizer = save_optimizer and hasattr(self, 'optim_wrapper')
        self._saved = (
            self.model_state_dict(),
            self.optim_state_dict() if has_optimizer else {},
        )
        try:
            # Of the main process.
            super().save_checkpoint(
                filename, save_optimizer=save_optimizer, **kwargs
            )
        finally:
            self._saved = None

    @contextmanager
    def in_parts(self) -> Iterator[None]:
        """Have state dicts be this rank's parts, which are not gathered.

        Yields:
            None: Nothing.
        """
        self._gathers = False
        try:
            yield
        finally:
            self._gathers = True

    def model_state_dict(self) -> dict[str, Any]:
        """Whole tensors, on the CPU of the main process."""
        if self._saved is not None:
            return self._saved[0]
        state: dict[str, Any] = self.model.state_dict()
        return gathered(state) if self._gathers else state

    def optim_state_dict(self) -> dict[str, Any]:
        """See above."""
        if self._saved is not None:
            return self._saved[1]
        state: dict[str, Any] = super().optim_state_dict()
        return gathered(state) if self._gathers else state

    def load_checkpoint(
        self, filename: str, *, map_location: Any = 'default', **kwargs: Any
    ) -> dict[str, Any]:
        """Load a checkpoint of any number of ranks, to go on or begin from.

        On a disk its tensors are mapped: a rank reads them one by one, and
        keeps its parts. Of a checkpoint in parts it reads no others.

        Args:
            filename (str): Its path.
            map_location (Any): Defaults to the CPU: a device need not have
                room for whole networks.
            **kwargs: As in MMEngine's ``BaseStrategy``.
        """
        if map_location == 'default':
            map_location = 'cpu'
        # What torch wrote before 1.6 cannot be.
        can_be_mapped = not is_remote(filename) and is_zipfile(filename)
        with (
            maps_files() if can_be_mapped else nullcontext(),
            dealt_out(self._layout_of()),
        ):
            checkpoint: dict[str, Any] = super().load_checkpoint(
                filename, map_location=map_location, **kwargs
            )
        return checkpoint

    def _layout_of(self) -> Layout:
        """Return how a checkpoint's tensors are dealt out over the ranks."""
        own = self.model.state_dict()
        wrapper = getattr(self, 'optim_wrapper', None)
        several = isinstance(wrapper, OptimWrapperDict)
        wrappers: Any = wrapper if several else {'': wrapper}
        params = {
            name: dict(enumerate(params_of(one.optimizer)))
            for name, one in wrappers.items()
            if one is not None
        }

        def layout(at: Place, outline: torch.Tensor) -> Any:
            like: Any = None
            if at[0] == 'state_dict':
                like = own.get(at[1])
            elif at[0] == 'optimizer':
                name, inside = (at[1], at[2:]) if several else ('', at[1:])
                like = params.get(name, {}).get(_index_in(inside))
            fits = is_sharded(like) and like.shape == outline.shape
            return like if fits else None

        return layout

    def load_model_state_dict(
        self,
        state_dict: dict[str, Any],
        *,
        strict: bool = False,
        revise_keys: list[Any] = [(r'^module.', '')],  # noqa: B006
    ) -> None:
        """Load whole tensors.

        Args:
            state_dict (dict): Of the model, from anywhere.
            strict (bool): Whether names that do not fit are an error.
                Defaults to False.
            revise_keys (list): Pairs of a pattern and its replacement in
                names. Defaults to one that removes ``module.``.
        """
        own = self.model.state_dict()
        dealt: Any = OrderedDict()
        set_versions(dealt, versions_of(state_dict) or OrderedDict())
        for name, value in state_dict.items():
            for pattern, replacement in revise_keys:
                name = re.sub(pattern, replacement, name)
            dealt[name] = shard_like(value, own.get(name))
        super().load_model_state_dict(dealt, strict=strict, revise_keys=[])

    def load_optim_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load whole tensors."""
        wrapper = self.optim_wrapper
        if isinstance(wrapper, OptimWrapperDict):
            state_dict = {
                name: _dealt_out(state_dict[name], one)
                for name, one in wrapper.items()
                if name in state_dict
            }
        else:
            state_dict = _dealt_out(state_dict, wrapper)
        super().load_optim_state_dict(state_dict)


def _index_in(at: Place) -> Any:
    """Return which parameter a tensor of a wrapper's state belongs to."""
    match at:
        case ('state', index, *_):
            return index
        case (key, 'grads', index) if key == WINDOW:
            return index
        case (key, index) if key == TRAINING_WEIGHTS:
            return index
    return None


def _dealt_out(state: dict[str, Any], wrapper: OptimWrapper) -> dict[str, Any]:
    """Return a wrapper's state with this rank's parts of its tensors.

    In memory of their own: an optimizer keeps what it loads, and the whole
    ones may be a file's.
    """
    params = dict(enumerate(params_of(wrapper.optimizer)))

    def dealt(at: Place, tensor: torch.Tensor) -> torch.Tensor:
        like = params.get(_index_in(at))
        part: torch.Tensor = shard_like(tensor, like)
        return tensor if like is None else part.clone()

    result: dict[str, Any] = with_tensors(state, dealt)
    return result
