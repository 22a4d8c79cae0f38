"""The training loop of a GAN, as one ``train_step``."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import ceil
from typing import Any, ClassVar

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from mmamp.compat.mmengine import accumulative_counts
from mmamp.errors import UsageError
from mmamp.logging.once import LogOnce
from mmamp.randomness.progress import Progress
from mmamp.randomness.samples import (
    AGREED_SEED,
    SampleRandom,
    agreed,
    place_of,
    run_seed,
)
from mmamp.utils.checks import check_int
from mmamp.utils.modules import all_in_mode
from mmamp.utils.protocols import Evaluates, was_skipped

from .alternation import (
    Alternation,
    Losses,
    Turn,
    after_steps,
    check_wrappers,
)
from .averages import AverageConfig, average_config
from .batch_fit import Made, Passage, misfit, network_error
from .compiled import check_compile
from .data_preprocessor import check_memory_format
from .kept_batches import KeptBatches
from .loss_sum import JointLogs, sum_of
from .sides import ROLES, Side
from .standing_statistics import StandingStatistics, has_batch_norm


class BaseGAN(BaseModel):
    """A generator against a discriminator, each with its own optimizer.

    ``train_step`` alternates them as
    :class:`~mmamp.models.base.update_schedule.UpdateSchedule` says. A
    subclass has to say what their losses are, in :meth:`disc_loss` and
    :meth:`gen_loss`; one that makes several updates on a micro-batch
    overrides :meth:`train_discriminator` or :meth:`train_generator`. Nothing
    in here knows of mixed precision: the optimizer wrappers bring it.

    A module that both sides use, such as an encoder or an embedding, is
    trained in the turn of the side whose optimizer holds it.

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
            names another average); ``start_iter``: for so many updates of
            the generator it is a copy of it, and 0 by default;
            ``standing_batches``: before the average is evaluated or saved,
            its BatchNorm statistics are estimated on so many batches of 64
            that it makes, see :meth:`estimate_statistics`, 16 by default,
            where 0 leaves it those of the trained generator;
            ``standing_batch_size`` is another size than 64. The average
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
            ``start_iter`` or ``standing_batches`` no int from 0 on, or there
            is no such memory format.

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
    counts_micro_batches: ClassVar[bool] = True
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
        self._sides = {role: Side(role, self.networks[role]) for role in ROLES}
        self._made: dict[str, Made] = {}
        for role, given in (
            ('generator', generator),
            ('discriminator', discriminator),
        ):
            self._sides[role].build(self, given)
            for name in self.networks[role]:
                network = getattr(self, name)
                self._made[name] = Made.of(role, given, network)
        if layout is not torch.contiguous_format:
            self.to(memory_format=layout)
        averages = average_config(
            ema_config,
            type(self).standing_inputs is not BaseGAN.standing_inputs,
        )
        self._ema_start = averages.start_iter
        self._sides['generator'].average(self, averages.average)
        self._standing = self._estimators(averages)
        self._compile = check_compile(compile, self.networks)
        self._progress = Progress()
        self._alternation: Alternation | None = None
        self._log_once = LogOnce()
        self._logs = JointLogs()
        self._kept = KeptBatches(all_of_cycle=self.generator_sees_data)

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
    ) -> dict[str, Tensor] | Iterator[dict[str, Tensor]]:
        """Return the losses of one micro-batch of the discriminator.

        Called inside of ``optimizer_wrapper.optim_context``; the update is
        made outside of it. A method that yields losses goes on after an
        update on each, with the new weights; where ``accumulative_counts``
        makes a window of micro-batches, they are summed to one update of it.
        One that calls ``optimizer_wrapper.update_params`` itself returns what
        to log.

        Args:
            inputs (Tensor): Of shape (N, C, H, W), normalised: real images,
                or what is translated.
            data_samples (Any): What the data preprocessor returned with them.
            optimizer_wrapper (OptimWrapper): The discriminator's.

        Returns:
            dict[str, Tensor] or Iterator[dict[str, Tensor]]: As
            :meth:`disc_loss` returns them, which this calls.
        """
        return self.disc_loss(inputs, data_samples, optimizer_wrapper)

    def train_generator(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor] | Iterator[dict[str, Tensor]]:
        """Return the losses of one micro-batch of the generator.

        Called inside of ``optimizer_wrapper.optim_context``; the update is
        made outside of it. A method that yields losses goes on after an
        update on each, with the new weights; where ``accumulative_counts``
        makes a window of micro-batches, they are summed to one update of it.
        One that calls ``optimizer_wrapper.update_params`` itself returns what
        to log.

        Args:
            inputs (Tensor): Of shape (N, C, H, W), normalised: real images,
                or what is translated.
            data_samples (Any): What the data preprocessor returned with them.
            optimizer_wrapper (OptimWrapper): The generator's.

        Returns:
            dict[str, Tensor] or Iterator[dict[str, Tensor]]: As
            :meth:`gen_loss` returns them, which this calls.
        """
        return self.gen_loss(inputs, data_samples, optimizer_wrapper)

    def standing_inputs(self, index: int, num: int) -> tuple[Any, ...]:
        """Return a batch that the generator can be called with.

        A subclass whose generator needs no data says so; averages are then
        evaluated with statistics of their own.

        Args:
            index (int): Of the batch. The same index has the same batch, on
                every rank.
            num (int): Samples of it.

        Returns:
            tuple: What the generator is called with.

        Raises:
            TypeError: Always, here.
        """
        raise TypeError(
            f'{type(self).__name__} has no standing_inputs(index={index}, '
            f'num={num})'
        )

    def passages(self, inputs: Tensor, data_samples: Any) -> list[Passage]:
        """Say which images of a batch go through which network.

        With it the first batch is compared with what the networks are made
        for, by their arguments ``in_channels``, ``out_channels``,
        ``image_size`` and ``scale``, before anything is trained. It holds for
        the losses of the class that says it, and is not asked where a
        subclass has others.

        Args:
            inputs (Tensor): Of shape (N, C, H, W), normalised.
            data_samples (Any): What the data preprocessor returned with them.

        Returns:
            list[Passage]: None here, where nothing is known of the losses.
        """
        return []

    def check_batch(self, inputs: Tensor, data_samples: Any) -> None:
        """Refuse a batch that the networks are not made for.

        Called with the first batch that is trained on.

        Args:
            inputs (Tensor): Of shape (N, C, H, W), normalised.
            data_samples (Any): What the data preprocessor returned with them.

        Raises:
            UsageError: If they are made for others; one line.
        """
        if not self._knows_passages():
            return
        found = self.passages(inputs, data_samples)
        images = dict(inputs=tuple(inputs.shape[1:]))
        if isinstance(data_samples, dict):
            images |= {
                key: tuple(value.shape[1:])
                for key, value in data_samples.items()
                if key.endswith('_img')
            }
        if text := misfit(found, self._made, images):
            raise UsageError(text)

    def needs_classes(self, num: int) -> bool:
        """Tell whether the classes of data with so many are looked at.

        Args:
            num (int): How many the data say that they have.

        Returns:
            bool: False here, where there are no classes.
        """
        return False

    def check_classes(
        self, labels: Sequence[int], names: Sequence[str], trains: bool
    ) -> None:
        """Refuse data with other classes than the model's, if it has some.

        Args:
            labels (Sequence[int]): All that there are in the data, in order.
            names (Sequence[str]): Of the classes.
            trains (bool): Whether the model is trained on them.

        Raises:
            UsageError: If the model has too few.
        """

    def _knows_passages(self) -> bool:
        """Tell whether the losses are of the class that says what they see."""
        losses = ('train_step', *(f'train_{role}' for role in ROLES))
        for cls in type(self).__mro__:
            if 'passages' in vars(cls):
                return True
            if vars(cls).keys() & {*losses, 'disc_loss', 'gen_loss'}:
                return False
        return False

    def _explain(self, error: Exception, data: dict[str, Any]) -> str | None:
        """Say in one line what is wrong with a batch, if it is that.

        Args:
            error (Exception): What training on it has raised.
            data (dict): The batch, as the data loader gave it.

        Returns:
            str or None: None if the error is about something else.
        """
        networks = {name: getattr(self, name) for name in self._made}
        return network_error(error, networks)

    def after_update(
        self, network: str, updates: int, skipped: bool | Tensor
    ) -> None:
        """Follow an update: the averages advance, unless it was skipped.

        Args:
            network (str): ``'generator'`` or ``'discriminator'``: what was
                updated.
            updates (int): How often it was by now, skipped ones included.
            skipped (bool or Tensor): Whether this one was; a scalar boolean
                tensor if only the device knows.
        """
        side = self._sides[network]
        if network == 'generator' and side.has_averages(self):
            for standing in self._standing.values():
                standing.is_left_alone = False
            side.update_averages(self, skipped, updates <= self._ema_start)

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
        summed = sum_of(losses)
        if summed is None:
            summed = super().parse_losses(losses)
        return summed

    def train(self, mode: bool = True) -> 'BaseGAN':
        """Switch the mode, unless every module is in it.

        MMEngine's loop asks for it in every iteration, and setting it costs
        several times as much as looking. A module in it with a ``train`` of
        its own is always asked.
        """
        if not all_in_mode(self, mode):
            super().train(mode)
        return self

    @property
    def higher_order_networks(self) -> tuple[str, ...]:
        """Return the sides whose losses have gradients in them.

        FSDP2 keeps the parameters of these gathered while they are trained.
        """
        return ()

    # ---- averages ----------------------------------------------------------

    def _estimators(
        self, averages: AverageConfig
    ) -> dict[str, StandingStatistics]:
        """Return what estimates statistics of averages, by their names."""
        found = {}
        for name in self.networks['generator']:
            average = getattr(self, f'{name}_ema')
            if average is None or not has_batch_norm(average):
                continue
            if averages.standing_batches:
                found[f'{name}_ema'] = StandingStatistics(
                    average.module,
                    self,
                    averages.standing_batches,
                    averages.standing_batch_size,
                )
            elif not average.update_buffers:
                print_log(
                    f'{name}_ema is evaluated with the BatchNorm statistics '
                    f'of {name}; ema_config=dict(update_buffers=True) '
                    'averages them, which takes a run that is long beside '
                    '1 / momentum updates',
                    logger='current',
                )
        return found

    @property
    def threshold(self) -> float | None:
        """float or None: Where the noise of :meth:`standing_inputs` ends."""
        return None

    def estimate_statistics(self) -> None:
        """Give averages the BatchNorm statistics that their weights have.

        The trained generator's, which an average has from its last update,
        belong to other weights. The estimate ("standing statistics", see
        :func:`~mmamp.models.base.standing_statistics.estimate`) is a function
        of the average alone, the same on all ranks, and touches neither
        training nor random numbers. It is made once an update, by whatever
        evaluates the average first, or saves it; a checkpoint's are kept, if
        they are its own and of noise of the same :attr:`threshold`.
        """
        for name, standing in self._standing.items():
            standing.estimate(getattr(self, name), self)

    @contextmanager
    def statistics_left_alone(self) -> Iterator[None]:
        """Have nobody estimate statistics of averages for a while."""
        kept = [(x, x.is_left_alone) for x in self._standing.values()]
        for standing, _ in kept:
            standing.is_left_alone = True
        try:
            yield
        finally:
            for standing, was_left_alone in kept:
                standing.is_left_alone = was_left_alone

    # ---- where in the run a sample is --------------------------------------

    def position(
        self, network: str, num: int, optimizer_wrapper: OptimWrapper
    ) -> tuple[int, int]:
        """Return where in the run a micro-batch is.

        Call it in the loss of its network: random numbers of a position are
        the same after ``--resume``, and other ones on each rank.

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
        key = f'{network}_samples'
        last = self._progress.kept(key)
        place = place_of(count, update, num, last)
        if place is not last:
            self._progress.keep(key, place)
        return update, place[2]

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
        seed = self._progress.kept(AGREED_SEED)
        return SampleRandom(device, num, stream, update, before, seed)

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
            dict[str, Tensor]: What to log, averaged over micro-batches; where
            both sides have a name, each with its side's before it, such as
            ``generator.loss_adv``.

        Raises:
            TypeError: If there is one optimizer for both networks.
            ValueError: If one of the two is missing.
            UsageError: If the networks are not made for the batch.
        """
        alternation = self._alternation
        batch = self.data_preprocessor(data, True)
        if alternation is None or not alternation.is_of(optim_wrapper):
            self.check_batch(batch['inputs'], batch.get('data_samples'))
            alternation = self._alternation = self._begin(optim_wrapper)
        else:
            self._progress.advance()
        logs: dict[str, list[Losses]] = {role: [] for role in ROLES}
        try:
            for turn in alternation.turns(self._progress.iteration, batch):
                with turn.alone(), self._followed(turn):
                    logs[turn.role] += self._train(turn)
        except Exception as error:
            if text := self._explain(error, data):
                raise UsageError(text) from error
            raise
        return self._logs.joined(logs)

    def _train(self, turn: Turn) -> Iterator[Losses]:
        """Run one micro-batch of a side; yield what to log."""
        train = getattr(self, f'train_{turn.role}')
        for losses, is_made in turn.updates(train):
            logs = losses
            if is_made:
                self._log_once(
                    f'{type(self).__name__}.train_{turn.role} makes its '
                    'updates itself: what it returns is logged, and not '
                    'trained on'
                )
            else:
                parsed = [self.parse_losses(each) for each in losses]
                first, *more = (loss for loss, _ in parsed)
                turn.wrapper.update_params(
                    sum(more, start=first), **self._evaluation(turn, train)
                )
                logs = [
                    # The sum is nobody's; a loss of that name is.
                    {
                        key: value
                        for key, value in log_vars.items()
                        if key != 'loss' or key in each
                    }
                    for each, (_, log_vars) in zip(losses, parsed, strict=True)
                ]
            yield from logs

    def _evaluation(
        self, turn: Turn, train: Callable[..., Any]
    ) -> dict[str, Any]:
        """Return how a wrapper computes the loss again, if its step does."""
        if not (
            isinstance(turn.wrapper, Evaluates) and turn.wrapper.evaluates
        ):
            return {}

        def closure() -> Tensor:
            return self.parse_losses(turn.again(train))[0]

        return dict(step_kwargs=dict(closure=closure))

    def _followed(self, turn: Turn) -> AbstractContextManager[None]:
        """Tell :meth:`after_update` of each update of a turn."""

        def follow(wrapper: OptimWrapper) -> None:
            updates = ceil(wrapper.inner_count / accumulative_counts(wrapper))
            self.after_update(turn.role, updates, was_skipped(wrapper))

        return after_steps(turn.wrapper, follow)

    def _begin(self, optim_wrapper: OptimWrapperDict) -> Alternation:
        """Begin to train with new optimizers."""
        check_wrappers(optim_wrapper)
        self._progress.advance(begins=True)
        self._kept.begin()
        if self._progress.kept(AGREED_SEED) is None:
            seed = (
                run_seed() if self._progress.is_told else torch.initial_seed()
            )
            self._progress.keep(AGREED_SEED, agreed(seed))
        alternation = Alternation(
            self,
            self._sides,
            dict(
                discriminator=self.discriminator_steps,
                generator=self.generator_steps,
            ),
            self.higher_order_networks,
            optim_wrapper,
            self._progress,
            self._kept,
        )
        # Last: hooks and wrappers have made islands of modules.
        for role, arguments in self._compile.items():
            self._sides[role].compile(self, arguments)
        return alternation

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
