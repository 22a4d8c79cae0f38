"""Mixed precision on this CPU: mmamp's autocast beside torch's own.

``python tools/benchmark_autocast.py`` times one training step of DCGAN at
32x32 in float32, in ``torch.autocast`` and in mmamp's, and prints the ratios
of the times to float32 with their spread. Rounds are interleaved, each with
one in float32; all of torch's come first, since mmamp's replaces kernels.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmamp.models.archs import DCGANDiscriminator, DCGANGenerator
from mmamp.models.losses import GANLoss
from mmamp.precision.autocast import autocast
from mmamp.precision.devices import has_native
from mmamp.precision.names import name_of


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--base-channels', type=int, default=32)
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
    Console().print(table)


if __name__ == '__main__':
    main()
