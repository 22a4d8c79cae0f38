"""The training loop of a GAN, as one ``train_step``."""

import weakref
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import ceil
from typing import Any, ClassVar

import torch
from mmengine.dist import get_world_size
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from mmamp.compat.mmengine import accumulative_counts
from mmamp.compat.torch import parameters_of
from mmamp.distributed.no_sync import no_sync
from mmamp.distributed.sharding import whole
from mmamp.randomness.samples import SampleRandom, agree_on_seed
from mmamp.registry import MODELS, built
from mmamp.utils.checks import check_int
from mmamp.utils.modules import quick_modules, unwrap
from mmamp.utils.protocols import was_skipped

from .compiled import check_compile, compile_network
from .data_preprocessor import check_memory_format
from .kept_batches import KeptBatches
from .update_schedule import UpdateSchedule

ROLES = ('discriminator', 'generator')
"""The two sides, by the names that their optimizers have."""


class BaseGAN(BaseModel):
    """A generator against a discriminator, each with its own optimizer.

    ``train_step`` alternates them as
    :class:`~mmamp.models.base.update_schedule.UpdateSchedule` says. A
    subclass has to say what their losses are, in :meth:`disc_loss` and
    :meth:`gen_loss`;
    one that wants more overrides :meth:`train_discriminator` or
    :meth:`train_generator`. Nothing in here knows of mixed precision: the
    optimizer wrappers bring it.

    A side may be several networks under one optimizer, such as the two
    generators of CycleGAN: a subclass names them in :attr:`networks`, each is
    built from the one config, and the optimizer's entry has
    ``modules=[...]``.

    Args:
        generator (dict or nn.Module): The generator.
        discriminator (dict or nn.Module): The discriminator.
        data_preprocessor (dict or nn.Module, optional): Defaults to None:
            :class:`~mmamp.models.base.data_preprocessor.GANDataPreprocessor`.
        discriminator_steps (int): Discriminator updates before the generator
            has its turn. Defaults to 1.
        generator_steps (int): Generator updates in its turn. Defaults to 1.
        ema_config (dict, optional): Arguments of MMEngine's
            ``ExponentialMovingAverage`` (``momentum``, ``interval``; ``type``
            names another average), and ``start_iter``: for so many updates
            of the generator it is a copy of it, and 0 by default. The average
            advances with each update that was not skipped. Defaults to None:
            no average.
        memory_format (str): Of the networks' weights and of the images that
            they get: ``'channels_last'``, which convolutions are faster in on
            most devices, or ``'contiguous_format'``. Defaults to
            ``'contiguous_format'``.
        compile (dict, optional): Arguments of ``torch.compile`` for each
            side that is to be compiled, such as
            ``dict(generator=dict(mode='default'))``. Defaults to None: none.
        init_cfg (dict, optional): As in MMEngine's ``BaseModule``. Defaults
            to None.

    Attributes:
        networks (dict[str, tuple[str, ...]]): Names of the networks of each
            side. Those of the generator have an average ``NAME_ema`` each,
            which is None without ``ema_config``.
        generator_sees_data (bool): Whether the generator's losses need what
            a batch holds, and not only its length. The batches of a cycle
            are then kept for the generator's turn, which takes one after the
            other, not just the last one. Defaults to False.

    Raises:
        TypeError: If a network is neither a dict nor a module.
        ValueError: If a number of steps is not a positive int,
            ``start_iter`` no int from 0 on, or there is no such memory
            format.

    Examples:
        >>> from mmamp.registry import MODELS
        >>> @MODELS.register_module()
        ... class LeastSquaresGAN(BaseGAN):
        ...     def disc_loss(self, inputs, data_samples, optimizer_wrapper):
        ...         noise = torch.randn(len(inputs), 100, device=inputs.device)
        ...         fake = self.discriminator(self.generator(noise).detach())
        ...         real = self.discriminator(inputs)
        ...         return dict(
        ...             loss_fake=fake.square().mean(),
        ...             loss_real=(real - 1).square().mean())
        ...
        ...     def gen_loss(self, inputs, data_samples, optimizer_wrapper):
        ...         noise = torch.randn(len(inputs), 100, device=inputs.device)
        ...         fake = self.discriminator(self.generator(noise))
        ...         return dict(loss_gen=(fake - 1).square().mean())
        >>> model = dict(
        ...     type='LeastSquaresGAN',
        ...     generator=dict(type='mmamp.DCGANGenerator', image_size=32),
        ...     discriminator=dict(
        ...         type='mmamp.DCGANDiscriminator', image_size=32))
    """

    networks: ClassVar[dict[str, tuple[str, ...]]] = dict(
        discriminator=('discriminator',), generator=('generator',)
    )
    generator_sees_data: ClassVar[bool] = False
    generator: nn.Module
    discriminator: nn.Module
    generator_ema: Any

    def __init__(
        self,
        generator: dict[str, Any] | nn.Module,
        discriminator: dict[str, Any] | nn.Module,
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
        discriminator_steps: int = 1,
        generator_steps: int = 1,
        ema_config: dict[str, Any] | None = None,
        memory_format: str = 'contiguous_format',
        compile: dict[str, dict[str, Any]] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        if data_preprocessor is None:
            data_preprocessor = dict(type='mmamp.GANDataPreprocessor')
        layout = check_memory_format(memory_format)
        if (
            isinstance(data_preprocessor, dict)
            and layout is not torch.contiguous_format
        ):
            data_preprocessor = dict(
                data_preprocessor, memory_format=memory_format
            )
        super().__init__(data_preprocessor, init_cfg)
        self.discriminator_steps = check_int(
            'discriminator_steps', discriminator_steps
        )
        self.generator_steps = check_int('generator_steps', generator_steps)
        for role, cfg in (
            ('generator', generator),
            ('discriminator', discriminator),
        ):
            self._build_networks(role, cfg)
        if layout is not torch.contiguous_format:
            self.to(memory_format=layout)
        ema_config = None if ema_config is None else dict(ema_config)
        self._ema_start = check_int(
            'start_iter', (ema_config or {}).pop('start_iter', 0), low=0
        )
        for name in self.networks['generator']:
            self._average(name, ema_config)
        self._compile = check_compile(compile, self.networks)
        self._sides: dict[str, nn.Module] = {}
        self._schedule: UpdateSchedule | None = None
        # Weak, so that a copy of the model does not copy optimizers.
        self._scheduled_for: weakref.ref[OptimWrapperDict] | None = None
        self._iteration = 0
        self._kept = KeptBatches()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the run that it was trained in out of copies and pickles."""
        return {**super().__getstate__(), '_scheduled_for': None}

    def _build_networks(
        self, role: str, cfg: dict[str, Any] | nn.Module
    ) -> None:
        names = self.networks[role]
        if len(names) > 1 and not isinstance(cfg, dict):
            raise TypeError(
                f'{role} must be a dict, from which each of '
                f'{", ".join(names)} is built, but got {type(cfg).__name__}'
            )
        for name in names:
            setattr(self, name, built(role, cfg))

    def _average(self, name: str, ema_config: dict[str, Any] | None) -> None:
        """Keep an average of a network, if there is to be one."""
        average = None
        if ema_config is not None:
            average = MODELS.build(
                {'type': 'ExponentialMovingAverage', **ema_config},
                default_args=dict(model=getattr(self, name)),
            )
        setattr(self, f'{name}_ema', average)

    # ---- what a subclass says ----------------------------------------------

    @abstractmethod
    def disc_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Compute the discriminator's losses on one micro-batch.

        Args:
            inputs (Tensor): Of shape (N, C, H, W), normalised: real images,
                or what is translated.
            data_samples (Any): What the data preprocessor returned with them.
            optimizer_wrapper (OptimWrapper): The discriminator's, for
                penalties that need its ``grad``.

        Returns:
            dict[str, Tensor]: Those whose name holds 'loss' are summed and
            trained on; the others are logged.
        """

    @abstractmethod
    def gen_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Compute the generator's losses on one micro-batch.

        Args:
            inputs (Tensor): Of shape (N, C, H, W), normalised: real images,
                or what is translated.
            data_samples (Any): What the data preprocessor returned with them.
            optimizer_wrapper (OptimWrapper): The generator's, for
                regularisers that need its ``grad``.

        Returns:
            dict[str, Tensor]: Those whose name holds 'loss' are summed and
            trained on; the others are logged.
        """

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Refuse to run, as training needs no ``forward``.

        A subclass that is validated or tested defines it.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f'{type(self).__name__} has no forward(inputs, data_samples, '
            f'mode={mode!r}); a GAN is trained through train_step, and what '
            'validates or tests it has to define forward'
        )

    def train_discriminator(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Run one micro-batch of the discriminator.

        Called inside of ``optimizer_wrapper.optim_context``.

        Args:
            inputs (Tensor): Of shape (N, C, H, W), normalised: real images,
                or what is translated.
            data_samples (Any): What the data preprocessor returned with them.
            optimizer_wrapper (OptimWrapper): The discriminator's.

        Returns:
            dict[str, Tensor]: What to log.
        """
        log_vars: dict[str, Tensor]
        loss, log_vars = self.parse_losses(
            self.disc_loss(inputs, data_samples, optimizer_wrapper)
        )
        optimizer_wrapper.update_params(loss)
        return log_vars

    def train_generator(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Run one micro-batch of the generator.

        Called inside of ``optimizer_wrapper.optim_context``.

        Args:
            inputs (Tensor): Of shape (N, C, H, W), normalised: real images,
                or what is translated.
            data_samples (Any): What the data preprocessor returned with them.
            optimizer_wrapper (OptimWrapper): The generator's.

        Returns:
            dict[str, Tensor]: What to log.
        """
        log_vars: dict[str, Tensor]
        loss, log_vars = self.parse_losses(
            self.gen_loss(inputs, data_samples, optimizer_wrapper)
        )
        optimizer_wrapper.update_params(loss)
        return log_vars

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, Any]:
        """Sum the losses, as MMEngine does, which averages each of them first.

        Where each is a number that was computed with a gradient, the sum is
        all that is left to do.

        Args:
            losses (dict[str, Tensor or list[Tensor]]): By name.

        Returns:
            tuple[Tensor, dict[str, Tensor]]: The sum of those whose name holds
            'loss', and what to log: the sum as ``loss``, and all of them.

        Raises:
            TypeError: If one is neither a tensor nor a list of tensors.
        """
        # Any other number may be one that the model goes on changing.
        are_numbers = all(
            isinstance(value, Tensor)
            and value.grad_fn is not None
            and not value.ndim
            for value in losses.values()
        )
        summed = [value for key, value in losses.items() if 'loss' in key]
        if not are_numbers or not summed:
            averaged: tuple[Tensor, Any] = super().parse_losses(losses)
            return averaged
        loss: Tensor = sum(summed[1:], start=summed[0])
        return loss, {'loss': loss, **losses}

    def train(self, mode: bool = True) -> 'BaseGAN':
        """Switch the mode, unless every module is in it.

        MMEngine's loop asks for it in every iteration, and setting it costs
        several times as much as looking. A module in it with a ``train`` of
        its own is always asked.
        """
        if not _is_in_mode(self, mode):
            super().train(mode)
        return self

    @property
    def higher_order_networks(self) -> tuple[str, ...]:
        """Return the sides whose losses have gradients in them.

        FSDP2 keeps the parameters of these gathered while they are trained.
        """
        return ()

    # ---- where in the run a sample is --------------------------------------

    def position(
        self, network: str, num: int, optimizer_wrapper: OptimWrapper
    ) -> tuple[int, int]:
        """Return where in the run a micro-batch is.

        Call it once for a micro-batch, in the loss of its network: random
        numbers of a position are the same after ``--resume``, and other ones
        on each rank.

        Args:
            network (str): ``'generator'`` or ``'discriminator'``: the
                network whose turn it is.
            num (int): Samples of the micro-batch on this rank.
            optimizer_wrapper (OptimWrapper): The network's.

        Returns:
            tuple[int, int]: The index of its update, and how many samples of
            all ranks the update had before.
        """
        count = optimizer_wrapper.inner_count
        update = count // accumulative_counts(optimizer_wrapper)
        # In the hub, so that a checkpoint taken in a window holds it.
        hub = MessageHub.get_current_instance()
        key = f'{network}_samples'
        last, last_update, before, after = hub.get_info(key, [-1, -1, 0, 0])
        if last != count:
            before = after if last_update == update else 0
            after = before + num * get_world_size()
            hub.update_info(key, [count, update, before, after])
        return update, before

    def random(
        self, num: int, stream: int, position: tuple[int, int]
    ) -> SampleRandom:
        """Return a source of random numbers for samples of a micro-batch.

        Args:
            num (int): How many samples.
            stream (int): Numbers of another stream are others: one for each
                use, such as the latents of each network.
            position (tuple[int, int]): As :meth:`position` returns it.

        Returns:
            SampleRandom: On the model's device; ``normal(size)`` draws a
            Tensor of shape (num, size), ``uniform()`` and
            ``integers(high)`` ones of shape (num, ).
        """
        update, before = position
        device = self.data_preprocessor.device
        return SampleRandom(device, num, stream, update, before=before)

    # ---- the loop ----------------------------------------------------------

    def train_step(
        self, data: dict[str, Any], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """Run one iteration: the discriminator, maybe the generator's turn.

        Args:
            data (dict): A batch of the data loader.
            optim_wrapper (OptimWrapperDict): ``generator`` and
                ``discriminator``.

        Returns:
            dict[str, Tensor]: What to log, averaged over micro-batches.

        Raises:
            TypeError: If there is one optimizer for both networks.
            ValueError: If one of the two is missing.
        """
        if (
            self._schedule is None
            or self._scheduled_for is None
            or self._scheduled_for() is not optim_wrapper
        ):
            self._schedule = self._begin(optim_wrapper)
            self._scheduled_for = weakref.ref(optim_wrapper)
        hub = MessageHub.get_current_instance()
        iteration = hub.get_info('iter', self._iteration)
        batch = self.data_preprocessor(data, True)

        # The discriminator learns from every batch.
        logs = [self._train('discriminator', batch, optim_wrapper)]

        # The generator's turn comes at the end of a cycle.
        if not self.generator_sees_data:
            self._kept.clear()
        self._kept.add(batch)
        turn = [
            self._train('generator', self._kept[i], optim_wrapper)
            for i in range(self._schedule.generator_turn(iteration))
        ]
        if turn:
            self._kept.clear()
        self._iteration = iteration + 1
        return {**_mean_of(logs), **_mean_of(turn)}

    def rank_state(self) -> list[Any]:
        """Return what a checkpoint has to hold of this rank's model.

        Returns:
            list: Inside of a cycle, its batches if the generator needs them.
        """
        return self._kept.state() if self.generator_sees_data else []

    def load_rank_state(self, of_ranks: list[list[Any]]) -> None:
        """Go on from the batches that a checkpoint holds.

        Args:
            of_ranks (list[list]): What :meth:`rank_state` said on each rank
                of the run that saved it, be they as many as now or not.
        """
        self._kept.load(of_ranks, self.data_preprocessor.device)

    def _train(
        self, name: str, batch: dict[str, Any], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """Run one micro-batch of one side, while the other is frozen."""
        network = self._sides[name]
        wrapper = optim_wrapper[name]
        (other,) = (side for x, side in self._sides.items() if x != name)
        train = getattr(self, f'train_{name}')
        with (
            _frozen(other),
            whole(network, wrapper.optimizer)
            if name in self.higher_order_networks
            else nullcontext(),
            wrapper.optim_context(network),
        ):
            log_vars = train(
                batch['inputs'], batch.get('data_samples'), wrapper
            )
        if name == 'generator' and wrapper.should_update():
            self._update_ema(wrapper)
        # Both sides have a sum of losses; one key cannot hold the two.
        return {k: v for k, v in log_vars.items() if k != 'loss'}

    def _update_ema(self, wrapper: OptimWrapper) -> None:
        """Advance the averages, unless this update was skipped."""
        if was_skipped(wrapper):
            return
        updates = ceil(wrapper.inner_count / accumulative_counts(wrapper))
        for name in self.networks['generator']:
            average = getattr(self, f'{name}_ema')
            if average is not None:
                if updates <= self._ema_start:
                    # What has had no step yet is copied.
                    average.steps.zero_()
                average.update_parameters(unwrap(getattr(self, name)))

    def _begin(self, optim_wrapper: OptimWrapperDict) -> UpdateSchedule:
        """Make the schedule, and tell each wrapper where the run is.

        MMEngine's ``OptimWrapperDict`` leaves the latter to the model.
        """
        _check_wrappers(optim_wrapper)
        agree_on_seed()
        unknown = [x for x in self.higher_order_networks if x not in ROLES]
        if unknown:
            raise ValueError(
                f'higher_order_networks names {", ".join(unknown)}, but the '
                f'networks are {" and ".join(ROLES)}'
            )
        # Now, since model wrappers have taken the places of networks.
        self._sides = {role: self._side(role) for role in ROLES}
        hub = MessageHub.get_current_instance()
        iteration = hub.get_info('iter', self._iteration)
        disc, gen = (optim_wrapper[name] for name in ROLES)
        schedule = UpdateSchedule(
            self.discriminator_steps,
            accumulative_counts(disc),
            self.generator_steps,
            accumulative_counts(gen),
            max_iters=hub.get_info('max_iters', -1),
        )
        disc.initialize_count_status(self, iteration, schedule.max_iters)
        gen.initialize_count_status(
            self,
            schedule.generator_counts_before(iteration),
            schedule.generator_max_counts,
        )
        # Last: hooks and wrappers have made islands of modules.
        for role, arguments in self._compile.items():
            for name in self.networks[role]:
                compile_network(name, getattr(self, name), arguments)
        return schedule

    def _side(self, role: str) -> nn.Module:
        """Return the network of a side, or all of them as one module."""
        found = [getattr(self, name) for name in self.networks[role]]
        return found[0] if len(found) == 1 else nn.ModuleList(found)


def _is_in_mode(model: nn.Module, mode: bool) -> bool:
    """Tell whether all modules are in a mode, none with its own ``train``."""
    if model.training is not mode:
        return False
    return all(
        module.training is mode
        and type(module).train is nn.Module.train
        and 'train' not in module.__dict__
        for child in model.children()
        for module in quick_modules(child)
    )


def _check_wrappers(optim_wrapper: OptimWrapper) -> None:
    """Refuse what cannot train two networks, with the config that can."""
    example = (
        "optim_wrapper=dict(constructor='OptimWrapperConstructor', "
        'generator=dict(optimizer=...), '
        'discriminator=dict(optimizer=...))'
    )
    if not isinstance(optim_wrapper, OptimWrapperDict):
        raise TypeError(
            'a GAN needs an optimizer for each of its networks, '
            f'but got one {type(optim_wrapper).__name__}: '
            f'give {example}'
        )
    missing = [name for name in ROLES if name not in optim_wrapper]
    if missing:
        raise ValueError(
            f'no optimizer for {" and ".join(missing)} among '
            f'{list(optim_wrapper.keys())}: give {example}'
        )


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Let nothing leave a gradient in a network, and none be computed."""
    params = [
        param
        for module in quick_modules(network)
        for param in parameters_of(module).values()
        if param is not None and param.requires_grad
    ]
    for param in params:
        param.requires_grad_(False)
    try:
        # Nor has DDP anything to wait for.
        with no_sync(network):
            yield
    finally:
        for param in params:
            param.requires_grad_(True)


def _mean_of(logs: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Average each logged value over the micro-batches that have it."""
    if len(logs) == 1:
        return logs[0]
    values = defaultdict(list)
    for log_vars in logs:
        for key, value in log_vars.items():
            values[key].append(value.detach())
    return {key: torch.stack(v).mean() for key, v in values.items()}
