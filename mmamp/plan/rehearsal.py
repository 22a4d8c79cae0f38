"""An update of every network, rehearsed on tensors without numbers."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseAveragedModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import FlexibleRunner, Runner
from mmengine.runner.base_loop import BaseLoop
from torch import Tensor, nn

from mmamp.compat.torch import tree_leaves
from mmamp.distributed.sharding import local
from mmamp.randomness.samples import forget_draws
from mmamp.utils.modules import params_of, unwrap

from .fakes import Fakes
from .ledger import (
    AVERAGES,
    BUFFERS,
    GRADIENTS,
    INPUTS,
    STATE,
    WEIGHTS,
    Ledger,
)
from .target import Target
from .traffic import Traffic
from .watch import BACK, FORWARD, STEP, Watch, place

MOST = 256
"""Iterations after which an update of each network has to be over."""


class _Loop(BaseLoop):
    """As long as anybody asks for."""

    iter = epoch = 0
    max_iters = max_epochs = 10**6

    def run(self) -> None:
        """Do nothing: the rehearsal asks for iterations by itself."""


class _Runner(Runner):
    """Builds a model whose tensors have no numbers."""

    rehearsal: 'Rehearsal'
    loop: Any = None

    def build_model(self, model: Any) -> nn.Module:
        return self.rehearsal.without_numbers(super().build_model(model))

    def wrap_model(self, cfg: Any, model: nn.Module) -> Any:
        with self.rehearsal.wrapping():
            return super().wrap_model(cfg, model)

    @property
    def train_loop(self) -> Any:
        return self.loop

    def dump_config(self) -> None:
        pass


class _FlexibleRunner(FlexibleRunner):
    """Has a strategy, which builds the model."""

    rehearsal: 'Rehearsal'
    loop: Any = None

    @property
    def train_loop(self) -> Any:
        return self.loop

    def dump_config(self) -> None:
        pass


def _nothing() -> None:
    pass


@dataclass
class Turn:
    """What was seen of an update of every network.

    Args:
        first (int): Event of the ledger that it begins at.
        last (int): Event that it ends at.
        iterations (int): That it took.
    """

    first: int
    last: int
    iterations: int


class Rehearsal:
    """Trains a model as a Runner does, on tensors without numbers.

    Args:
        cfg (Config): Complete, of a trial.
        folder (str): Where MMEngine may write its log.
        fakes (Fakes): Takes numbers out, or does not.
        watch (Watch, optional): Sees what is done. Defaults to None.
        target (Target, optional): That the CPU stands for. Defaults to None.
    """

    def __init__(
        self,
        cfg: Config,
        folder: str,
        fakes: Fakes,
        watch: Watch | None = None,
        target: Target | None = None,
    ) -> None:
        self.fakes, self.watch, self.target = fakes, watch, target
        forget_draws()
        cfg.work_dir = folder
        kind = _FlexibleRunner if cfg.get('strategy') else _Runner
        runner_class: Any = type(kind.__name__, (kind,), dict(rehearsal=self))
        if watch is not None:
            watch.is_sharded = bool(cfg.get('strategy'))
        self.runner: Any = runner_class.from_cfg(cfg)
        self.runner.loop = _Loop(self.runner, [])
        self._build()
        with self.stage():
            self._begin()

    def without_numbers(self, model: Any) -> nn.Module:
        """Take the numbers out of a model that was built."""
        # Nothing is read, nor downloaded.
        model.init_weights = _nothing
        return self.fakes.of_model(model)

    @contextmanager
    def stage(self) -> Iterator[None]:
        """Have what is done meanwhile be rehearsed, and watched."""
        with ExitStack() as stack:
            stack.enter_context(self.fakes.mode())
            if self.watch is not None:
                stack.enter_context(self.watch.watching())
            yield

    @contextmanager
    def wrapping(self) -> Iterator[None]:
        """Have model wrappers be built meanwhile."""
        with self.stage():
            if self.watch is not None:
                self.watch.makes_buckets = True
            yield
            if self.watch is not None:
                self.watch.makes_buckets = False

    def _build(self) -> None:
        """Build the optimizers; a strategy builds the model, too."""
        runner = self.runner
        if isinstance(runner, Runner):
            with self.stage():
                wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
            runner.optim_wrapper = wrapper
            return
        model = self.without_numbers(runner.strategy.build_model(runner.model))
        with self.stage():
            runner.strategy.prepare(
                model,
                optim_wrapper=runner.optim_wrapper,
                dispatch_kwargs=dict(max_iters=runner.loop.max_iters),
            )
        runner.model = runner.strategy.model
        runner.optim_wrapper = runner.strategy.optim_wrapper

    def _begin(self) -> None:
        """Do what a Runner does before its loop."""
        runner = self.runner
        self._note_model()
        runner.call_hook('before_run')
        runner.message_hub.update_info('max_iters', runner.loop.max_iters)
        runner.message_hub.update_info('iter', 0)
        runner.message_hub.update_info('loop_stage', 'train')
        runner.optim_wrapper.initialize_count_status(
            runner.model, 0, runner.loop.max_iters
        )
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        self._note_model()
        self.fakes.forget()

    @property
    def model(self) -> nn.Module:
        """nn.Module: Without model wrappers around it."""
        return unwrap(self.runner.model)

    @property
    def wrappers(self) -> dict[str, OptimWrapper]:
        """dict[str, OptimWrapper]: By name; that of an only one is empty."""
        wrapper = self.runner.optim_wrapper
        if isinstance(wrapper, OptimWrapperDict):
            return dict(wrapper.items())
        return {'': wrapper}

    def _note_model(self) -> None:
        """Tell the ledger what is there before anything is computed."""
        if self.watch is None:
            return
        watch, ledger = self.watch, self.watch.ledger
        watch.name_modules(self.runner.model)
        models = [self.runner.model, *_averages_of(self.runner.hooks)]
        for model in models:
            averaged = [
                x for x in model.modules() if isinstance(x, BaseAveragedModel)
            ]
            tensors = [t for x in averaged for t in x.state_dict().values()]
            ledger.turn_into(map(local, tensors), AVERAGES)
            known = {id(x) for m in averaged for x in m.modules()}
            for module in model.modules():
                if id(module) in known:
                    continue
                own = module.parameters(recurse=False)
                ledger.turn_into((local(x.data) for x in own), WEIGHTS)
                held = module.buffers(recurse=False)
                ledger.turn_into(map(local, held), BUFFERS)

    def update(self, batch: Any) -> Turn:
        """Train until every network has had an update.

        Args:
            batch (Any): What the data loader would give, each time.
        """
        runner, loop = self.runner, self.runner.loop
        first = self.watch.ledger.now if self.watch else 0
        batch = self.fakes.of_batch(batch)
        self.fakes.forget()
        if self.watch is not None:
            held = [x for x in tree_leaves(batch) if isinstance(x, Tensor)]
            self.watch.ledger.turn_into(held, INPUTS)
        with self.stage(), _followed(self.wrappers, self.watch) as steps:
            begun = loop.iter
            while loop.iter - begun < MOST:
                runner.message_hub.update_info('iter', loop.iter)
                runner.model.train()
                batches = dict(batch_idx=loop.iter, data_batch=batch)
                runner.call_hook('before_train_iter', **batches)
                outputs = runner.model.train_step(
                    batch, optim_wrapper=runner.optim_wrapper
                )
                runner.call_hook(
                    'after_train_iter', **batches, outputs=outputs
                )
                loop.iter += 1
                if steps >= set(self.wrappers):
                    break
        last = self.watch.ledger.now if self.watch else 0
        return Turn(first, last, loop.iter - begun)

    def count_traffic(self) -> Traffic:
        """Return what counts collectives, to be entered around an update."""
        traffic = Traffic()
        traffic.watch_ddp(
            self.runner.model, has_numbers=self.fakes.values is None
        )
        return traffic

    def penalise(self, is_due: bool) -> None:
        """Have terms that come now and then come always, or never.

        Args:
            is_due (bool): Whether they do.
        """
        for module in self.model.modules():
            if callable(getattr(module, 'is_due', None)):
                vars(module)['is_due'] = lambda update: is_due


def _averages_of(hooks: Sequence[Any]) -> list[nn.Module]:
    """Return averages that hooks keep beside the model."""
    return [
        value
        for hook in hooks
        for value in vars(hook).values()
        if isinstance(value, BaseAveragedModel)
    ]


@contextmanager
def _followed(
    wrappers: dict[str, OptimWrapper], watch: Watch | None
) -> Iterator[set[str]]:
    """Tell a watch what each optimizer wrapper does.

    Yields:
        set[str]: Those that have made a step.
    """
    steps: set[str] = set()
    with ExitStack() as stack:
        for name, wrapper in wrappers.items():
            stack.callback(_follow(name, wrapper, watch, steps))
        yield steps


def _follow(
    name: str, wrapper: Any, watch: Watch | None, steps: set[str]
) -> Any:
    """Put functions in the places of a wrapper's that tell of them."""
    role = name or 'model'
    given = {
        x: getattr(wrapper, x) for x in ('optim_context', 'backward', 'step')
    }

    @contextmanager
    def optim_context(*args: Any, **kwargs: Any) -> Iterator[None]:
        with during(FORWARD), given['optim_context'](*args, **kwargs):
            yield

    def backward(*args: Any, **kwargs: Any) -> None:
        with during(BACK):
            given['backward'](*args, **kwargs)
        if watch is not None:
            params = params_of(wrapper.optimizer)
            grads = [p.grad for p in params if p.grad is not None]
            watch.ledger.turn_into(map(local, grads), GRADIENTS)

    def step(*args: Any, **kwargs: Any) -> None:
        with during(STEP):
            given['step'](*args, **kwargs)
        steps.add(name)
        if watch is not None:
            state = tree_leaves(list(wrapper.optimizer.state.values()))
            held = [local(x) for x in state if isinstance(x, Tensor)]
            watch.ledger.turn_into(held, STATE)

    def during(phase: str) -> Any:
        if watch is None:
            return ExitStack()
        return watch.during(role, phase)

    own = vars(wrapper)
    own.update(optim_context=optim_context, backward=backward, step=step)

    def restore() -> None:
        for key in given:
            del own[key]

    return restore


@contextmanager
def rehearsed(
    cfg: Config, target: str = 'cpu', is_fake: bool = True
) -> Iterator[Rehearsal]:
    """Rehearse a config, watched.

    Args:
        cfg (Config): Complete, of :func:`~mmamp.plan.plan_config.plan_config`.
        target (str): The device that it is to run on. Defaults to ``'cpu'``.
        is_fake (bool): Whether tensors have no numbers. Defaults to True.
    """
    fakes = Fakes(is_fake)
    device = Target(target, place)
    ledger = Ledger(device.granularity)
    watch = Watch(ledger, fakes.values, target)
    with TemporaryDirectory() as folder, device.played():
        yield Rehearsal(cfg, folder, fakes, watch, device)
    forget_draws()
