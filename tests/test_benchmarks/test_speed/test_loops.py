"""Of what an iteration is, each way: docs/en/benchmark.md has it."""

import sys
from collections import Counter

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from benchmarks.speed import models
from benchmarks.speed.peers import PACKAGES, module_of
from benchmarks.speed.trainee import _TRAIN
from benchmarks.speed.turns import Turns
from benchmarks.speed.variants import (
    ACCELERATE,
    BY_HAND,
    FABRIC,
    MMAMP,
    STOCK,
    Variant,
)

ITERATIONS = 3
NETWORKS = 'DCGANGenerator', 'DCGANDiscriminator'
# Passes of the generator and the discriminator, backward passes, numbers
# read.
OF_AN_ITERATION = {
    BY_HAND: (2, 3, 2, 0),
    MMAMP: (2, 3, 2, 3),
    STOCK: (2, 3, 2, 4),
    FABRIC: (1, 3, 3, 5),
    ACCELERATE: (1, 3, 3, 5),
}


class Pipe:
    def __init__(self):
        self.asked = [ITERATIONS, None]

    def recv(self):
        return self.asked.pop(0)

    def send(self, seconds):
        assert seconds > 0


class Watched:
    """What happens to the networks while a variant is trained."""

    def __init__(self, monkeypatch):
        self.counts = Counter()
        self.networks: dict[str, nn.Module] = {}
        self.before: dict[str, list[Tensor]] = {}
        self.dtypes = set()
        for name in ('backward', 'item'):
            self._count(name, monkeypatch)

    def _count(self, name, monkeypatch):
        ask = getattr(Tensor, name)

        def counted(tensor, *args, **kwargs):
            self.counts[name] += 1
            return ask(tensor, *args, **kwargs)

        monkeypatch.setattr(Tensor, name, counted)

    def _enter(self, module, args):
        name = type(module).__name__
        if name in NETWORKS and name not in self.networks:
            if not self.networks:
                # Seeds of the loader do not count.
                self.counts.clear()
            self.networks[name] = module
            self.before[name] = [
                p.detach().clone() for p in module.parameters()
            ]

    def _leave(self, module, args, output):
        self.counts[type(module).__name__] += 1
        if isinstance(module, nn.Conv2d):
            self.dtypes.add(str(output.dtype).removeprefix('torch.'))

    def train(self, variant, folder):
        handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave),
        ]
        try:
            _TRAIN[variant.way](variant, Turns(Pipe()), str(folder))
        finally:
            for handle in handles:
                handle.remove()

    def all_changed(self):
        return {
            name: all(
                bool(p.isfinite().all()) and not torch.equal(p, old)
                for p, old in zip(
                    network.parameters(), self.before[name], strict=True
                )
            )
            for name, network in self.networks.items()
        }


@pytest.fixture
def watched(monkeypatch):
    # They set it for their process.
    monkeypatch.setattr(
        torch.backends.cudnn, 'benchmark', torch.backends.cudnn.benchmark
    )
    yield Watched(monkeypatch)
    if accelerate := sys.modules.get('accelerate'):
        # One precision a process.
        accelerate.state.AcceleratorState._reset_state(True)


def variant_of(way, dtype='float32'):
    if way in PACKAGES:
        pytest.importorskip(module_of(way))
    return Variant('tiny', way, dtype, 'channels_last')


@pytest.mark.parametrize('way', OF_AN_ITERATION)
def test_what_an_iteration_is(way, watched, tmp_path):
    watched.train(variant_of(way), tmp_path)
    counts = [
        watched.counts[x] / ITERATIONS for x in (*NETWORKS, 'backward', 'item')
    ]
    assert tuple(counts) == OF_AN_ITERATION[way]
    assert watched.all_changed() == dict.fromkeys(NETWORKS, True)
    assert watched.dtypes == {'float32'}


@pytest.mark.parametrize('way', PACKAGES)
def test_peers_compute_in_the_dtype_that_is_asked_for(way, watched, tmp_path):
    watched.train(variant_of(way, 'bfloat16'), tmp_path)
    assert watched.dtypes == {'bfloat16'}
    assert watched.all_changed() == dict.fromkeys(NETWORKS, True)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('way', PACKAGES)
def test_penalties_on_top_of_peers(way, dtype, watched, tmp_path, monkeypatch):
    """Fabric's networks refuse gradients in mixed precision."""
    tiny = models.MODELS_BY_NAME['tiny']
    r1 = dict(type='mmamp.R1', weight=1.0, interval=2)
    penalized = models.Benchmarked(**{**vars(tiny), 'regularizers': (r1,)})
    monkeypatch.setitem(models.MODELS_BY_NAME, 'tiny', penalized)
    watched.train(variant_of(way, dtype), tmp_path)
    # Due twice in three iterations.
    assert watched.counts[NETWORKS[1]] == 3 * ITERATIONS + 2
    assert watched.all_changed() == dict.fromkeys(NETWORKS, True)
