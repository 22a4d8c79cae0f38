"""How often an iteration of a GAN waits for the device, and where."""

import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

from benchmarks.speed import handwritten, stock, under_runner
from benchmarks.speed.comparisons import can_stock
from benchmarks.speed.turns import Turns
from benchmarks.speed.variants import BY_HAND, MMAMP, STOCK, Variant
from mmamp.precision.names import COMPARED

from . import Add

WARM, COUNTED = 3, 4
"""Iterations in which things are set up, and those that are counted."""
SKIPPED = 'skipped: no GPU'
_SAID = 'called a synchronizing CUDA operation'
_ROOT = Path(__file__).parents[3]


class Lion(torch.optim.Optimizer):
    """Lion (Chen et al., 2023), as packages have optimizers: in Python."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        super().__init__(params, dict(lr=lr, betas=betas))

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Make a step."""
        for group in self.param_groups:
            first, second = group['betas']
            for param in group['params']:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state['mean'] = torch.zeros_like(param)
                mean: Tensor = state['mean']
                sign = mean.lerp(param.grad, 1 - first).sign_()
                param.add_(sign, alpha=-group['lr'])
                mean.lerp_(param.grad, 1 - second)


def _both(**settings: Any) -> dict[str, Any]:
    """Return options of the optimizer wrappers of both networks."""
    return {
        f'optim_wrapper.{side}.{key}': value
        for side in ('generator', 'discriminator')
        for key, value in settings.items()
    }


def _penalty(name: str, **settings: Any) -> dict[str, Any]:
    return {
        'model.disc_regularizers': [dict(type=f'mmamp.{name}', **settings)]
    }


_ADAM: dict[str, Any] = dict(type='Adam', lr=2e-4, betas=(0.5, 0.99))
_AVERAGE = {'model.ema_config': dict(momentum=0.01)}
_STYLEGAN2 = dict(
    _delete_=True,
    type='mmamp.StyleGAN2Generator',
    style_size=32,
    channel_base=256,
    channel_max=32,
    noise_size=100,
    image_size=32,
    out_channels=1,
)

CASES: dict[str, dict[str, Any]] = {
    'fused Adam': {},
    'and an average (EMA)': _AVERAGE,
    'and R1': _penalty('R1'),
    'and R2': _penalty('R2'),
    'and WGAN-GP': _penalty('WGANGP'),
    'and DRAGAN': _penalty('DRAGAN'),
    'and path length': {
        'model.generator': _STYLEGAN2,
        'model.gen_regularizers': [dict(type='mmamp.PathLength')],
    },
    'and clipping by norm': _both(clip_grad=dict(max_norm=1.0)),
    'and clipping by value': _both(
        clip_grad=dict(type='value', clip_value=0.1)
    ),
    'and two micro-batches': _both(accumulative_counts=2),
    'and channels_last': {'model.memory_format': 'channels_last'},
    'and spectral norm': {
        'model.num_classes': 10,
        'model.generator': dict(
            type='mmamp.BigGANGenerator', num_classes=10, base_channels=4
        ),
        'model.discriminator': dict(
            type='mmamp.BigGANDiscriminator', num_classes=10, base_channels=4
        ),
    },
    'and all of EMA, R1, clipping': {
        **_AVERAGE,
        **_penalty('R1'),
        **_both(clip_grad=dict(max_norm=1.0)),
    },
    'fused SGD, momentum': _both(
        optimizer=dict(
            type='SGD', lr=1e-3, momentum=0.9, fused=True, _delete_=True
        )
    ),
    'Adam, foreach': _both(
        optimizer=dict(_ADAM, fused=False, foreach=True, _delete_=True)
    ),
    'Adam, one by one': _both(
        optimizer=dict(_ADAM, fused=False, foreach=False, _delete_=True)
    ),
    'RMSprop': _both(optimizer=dict(type='RMSprop', lr=1e-4, _delete_=True)),
    'Lion in Python': _both(
        optimizer=dict(type=f'{__name__}.Lion', _delete_=True)
    ),
    'Lion in Python, EMA and clipping': {
        **_AVERAGE,
        **_both(
            optimizer=dict(type=f'{__name__}.Lion', _delete_=True),
            clip_grad=dict(max_norm=1.0),
        ),
    },
}
"""Options of a config, by what is tried."""


class CountedTurns(Turns):
    """Turns of the benchmark, in which waits are counted."""

    def __init__(self) -> None:
        self.waits: list[Counter[str]] = []
        self._done = 0
        self._caught = warnings.catch_warnings()

    def begin(self) -> bool:
        """Begin."""
        return True

    def done(self) -> bool:
        """Note that an iteration is done, and tell whether to go on."""
        self._done += 1
        if self._done == WARM:
            self._listen()
        if self._done == WARM + COUNTED:
            self._stop()
            return False
        if self._done >= WARM:
            self.waits.append(Counter())
        return True

    def _listen(self) -> None:
        self._caught.__enter__()
        warnings.simplefilter('always')
        warnings.showwarning = self._seen
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode('warn')

    def _stop(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode('default')
        self._caught.__exit__(None, None, None)

    def _seen(self, message: Any, *args: Any, **kwargs: Any) -> None:
        if _SAID in str(message) and self.waits:
            self.waits[-1][_place()] += 1


def _place() -> str:
    """Return the line of this repository that waits, the innermost one."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if path != Path(__file__) and path.is_relative_to(_ROOT / 'mmamp'):
            return f'{path.relative_to(_ROOT)}:{frame.lineno}'
    last = traceback.extract_stack()[-3]
    return f'{Path(last.filename).name}:{last.lineno}'


def find(add: Add) -> None:
    """Count them in each way to train, then with each setting of mmamp."""
    ways = {
        BY_HAND: handwritten.train,
        STOCK: stock.train,
        MMAMP: under_runner.train,
    }
    # Where there is nothing to count, once through all is enough.
    dtypes = COMPARED if torch.cuda.is_available() else COMPARED[:1]
    for dtype in dtypes:
        for way, train in ways.items():
            if way == STOCK and not can_stock(dtype):
                continue
            variant = Variant('tiny', way, dtype)
            _count(
                partial(train, variant),
                add,
                'By way: a tiny DCGAN, fused Adam',
                {'way': way, 'dtype': dtype},
            )
    for name, options in CASES.items():
        for dtype in dtypes:
            _count(
                partial(_train, dtype, options),
                add,
                'With mmamp',
                {'setting': name, 'dtype': dtype},
            )


def _train(
    dtype: str, options: dict[str, Any], turns: Turns, folder: str
) -> None:
    variant = Variant('tiny', MMAMP, dtype)

    def change(cfg: Config) -> None:
        # How often it waits has nothing to do with how long it takes.
        for network in ('generator', 'discriminator'):
            cfg.model[network].base_channels = 4
        cfg.merge_from_dict(options)

    cfg = under_runner.config_of(variant, folder, change)
    under_runner.run(Runner.from_cfg(cfg), variant, turns)


def _count(
    train: Callable[[Turns, str], None],
    add: Add,
    table: str,
    cells: dict[str, str],
) -> None:
    turns = CountedTurns()
    try:
        with tempfile.TemporaryDirectory() as folder:
            train(turns, folder)
    except Exception as error:
        traceback.print_exc()
        add(table, **cells, waits=f'{type(error).__name__}: {error}')
        return
    if not torch.cuda.is_available():
        add(table, **cells, waits=SKIPPED)
        return
    where: Counter[str] = sum(turns.waits, Counter())
    add(
        table,
        **cells,
        waits=_range([x.total() for x in turns.waits]),
        where=', '.join(f'`{place}`' for place in where),
    )


def _range(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f'{low} to {high}'
