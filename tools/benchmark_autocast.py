"""Mixed precision on this CPU: mmamp's autocast beside torch's own.

``python tools/benchmark_autocast.py`` times one training step of DCGAN at
32x32 in float32, in ``torch.autocast`` and in mmamp's, and prints the ratios
of the times to float32 with their spread; then, of single operators and of
activation checkpointing, forward and backward, mmamp's autocast over float32.
Rounds are interleaved, each with one in float32.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmamp.models.archs import DCGANDiscriminator, DCGANGenerator
from mmamp.models.losses import GANLoss
from mmamp.precision.autocast import autocast, in_backward
from mmamp.precision.devices import has_native, machine
from mmamp.precision.names import name_of
from mmamp.utils.consoles import new_console

ROOT = Path(__file__).resolve().parents[1]
# The repository's own, in no wheel.
sys.path.insert(0, str(ROOT))
MARKS = (
    '<!-- begin: tools/benchmark_autocast.py -->',
    '<!-- end: tools/benchmark_autocast.py -->',
)
TARGET = 1.3
"""Of an operator in bfloat16 over float32."""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--base-channels', type=int, default=32)
    parser.add_argument(
        '--operators', type=int, default=30, help='rounds of each operator'
    )
    parser.add_argument(
        '--write',
        action='store_true',
        help='put the table of operators into docs/*/benchmark.md',
    )
    return parser.parse_args()


def make_step(context: Callable, batch: int, channels: int) -> Callable:
    """Make a training step of both networks under a context."""
    torch.manual_seed(0)
    gen = DCGANGenerator(32, 1, channels)
    disc = DCGANDiscriminator(32, 1, channels)
    for net in (gen, disc):
        net.to(memory_format=torch.channels_last)
    optimizers = [
        torch.optim.Adam(net.parameters(), lr=2e-4) for net in (gen, disc)
    ]
    loss = GANLoss('vanilla')
    real = torch.randn(batch, 1, 32, 32)

    def step() -> None:
        with context():
            fake = gen(torch.randn(batch, 100))
            disc_loss = loss(disc(fake.detach()), False) + loss(
                disc(real), True
            )
            gen_loss = loss(disc(fake), True)
        gen_loss.backward(retain_graph=True)
        disc_loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return step


def operators() -> dict[str, tuple[Callable[[], Tensor], list[Tensor]]]:
    """Make what is timed alone, with the tensors that get gradients."""
    torch.manual_seed(0)
    a = torch.randn(2, 256, 256, requires_grad=True)
    b = torch.randn(2, 256, 256)
    attention = nn.MultiheadAttention(256, 4, batch_first=True)
    lstm = nn.LSTM(256, 256)
    convs = nn.Sequential(*(nn.Conv2d(32, 32, 3, padding=1) for _ in range(3)))
    image = torch.randn(8, 32, 32, 32, requires_grad=True)
    made = {
        'MultiheadAttention': lambda: attention(a, b, b)[0],
        'einsum': lambda: torch.einsum('bij,bjk->bik', a, b),
        'addmm': lambda: torch.addmm(a[0], a[1], b[0]),
        'baddbmm': lambda: torch.baddbmm(a, a, b),
        'scaled_dot_product_attention': lambda: F.scaled_dot_product_attention(
            a[None], b[None], b[None]
        ),
        'LSTM': lambda: lstm(a)[0],
        'three convolutions': lambda: convs(image),
        **{
            f'the same, checkpointed (use_reentrant={reentrant})': partial(
                checkpoint, convs, image, use_reentrant=reentrant
            )
            for reentrant in (True, False)
        },
    }
    leaves = [
        *(a, image),
        *attention.parameters(),
        *lstm.parameters(),
        *convs.parameters(),
    ]
    return {name: (call, leaves) for name, call in made.items()}


def operator_step(
    call: Callable[[], Tensor], leaves: list[Tensor], dtype: torch.dtype
) -> None:
    """Run an operator, forward and backward."""
    with autocast('cpu', dtype):
        loss = call().float().square().mean()
    with in_backward('cpu', dtype):
        loss.backward()
    for leaf in leaves:
        leaf.grad = None


def _ratios_of(
    call: Callable[[], Tensor], leaves: list[Tensor], rounds: int
) -> dict[str, list[float]]:
    """Return the ratios to float32, round by round."""
    found: dict[str, list[float]] = {}
    steps = {
        name: partial(operator_step, call, leaves, dtype)
        for name, dtype in (
            ('float32', torch.float32),
            ('control', torch.float32),
            ('bfloat16', torch.bfloat16),
        )
    }
    for step in steps.values():
        step()
    for _ in range(rounds):
        taken = {name: _seconds(step) for name, step in steps.items()}
        for name, seconds in taken.items():
            found.setdefault(name, []).append(seconds / taken['float32'])
    return found


def operator_table(rounds: int) -> str:
    """Time single operators, and return the table in Markdown."""
    lines = [
        '| forward and backward | bfloat16 over float32 | float32, twice | '
        'target | verdict |',
        '| --- | --- | --- | --- | --- |',
    ]
    for name, (call, leaves) in track(operators().items(), 'Operators'):
        ratios = _ratios_of(call, leaves, rounds)
        low, middle, high = statistics.quantiles(ratios['bfloat16'], n=4)
        again = statistics.median(ratios['control'])
        verdict = 'met' if middle <= TARGET else 'missed'
        lines.append(
            f'| {name} | {middle:.2f} ({low:.2f} to {high:.2f}) | '
            f'{again:.2f} | <= {TARGET} | {verdict} |'
        )
    return '\n'.join(lines)


def write(table: str) -> None:
    """Put the table into the pages."""
    from benchmarks.results.tables import put_between

    head = f'{date.today()}, {machine()}:'
    command = '```bash\npython tools/benchmark_autocast.py --write\n```'
    text = f'{head}\n\n<!-- test: parse -->\n{command}\n\n{table}'
    for language in ('en', 'zh_cn'):
        put_between(ROOT / f'docs/{language}/benchmark.md', *MARKS, text)


def _seconds(step: Callable) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    """Time all variants, round by round, and print the table."""
    args = parse_args()
    dtypes = {name_of(x): x for x in (torch.bfloat16, torch.float16)}
    stock: dict[str, Callable] = {
        f'{name}, torch.autocast': lambda d=dtype: torch.autocast(
            'cpu', dtype=d
        )
        for name, dtype in dtypes.items()
    }
    own: dict[str, Callable] = {
        f'{name}, mmamp': lambda d=dtype: autocast('cpu', d)
        for name, dtype in dtypes.items()
    }
    times: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    for variants in (stock, own):
        steps = {
            name: make_step(context, args.batch_size, args.base_channels)
            for name, context in {'float32': nullcontext, **variants}.items()
        }
        for step in steps.values():
            step()
        for _ in track(range(args.rounds), 'Rounds'):
            taken = {name: _seconds(step) for name, step in steps.items()}
            for name, seconds in taken.items():
                times.setdefault(name, []).append(seconds)
                ratios.setdefault(name, []).append(seconds / taken['float32'])
    native = [name for name, x in dtypes.items() if has_native('cpu', x)]
    table = Table(
        title=f'DCGAN 32x32, batch {args.batch_size}, '
        f'{torch.get_num_threads()} threads; native on this CPU: '
        f'{", ".join(native) or "float32 alone"}'
    )
    for column in ('variant', 'ms a step', 'times float32', 'spread'):
        table.add_column(column)
    for name, values in times.items():
        table.add_row(
            name,
            f'{statistics.median(values) * 1000:.0f}',
            f'{statistics.median(ratios[name]):.2f}',
            f'{min(ratios[name]):.2f} to {max(ratios[name]):.2f}',
        )
    new_console().print(table)
    text = operator_table(args.operators)
    print(text)
    if args.write:
        write(text)


if __name__ == '__main__':
    main()
