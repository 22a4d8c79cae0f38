"""Optimizers whose step differentiates gradients."""

import gc
import weakref

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from mmamp import AmpOptimWrapper


class Newton(torch.optim.SGD):
    """Notes the product of the Hessian and ones, as AdaHessian would."""

    mmamp_traits = dict(second_order=True)

    def step(self, closure=None):
        params = [
            p
            for group in self.param_groups
            for p in group['params']
            if p.grad is not None
        ]
        grads = [p.grad for p in params]
        self.products = torch.autograd.grad(
            grads, params, [torch.ones_like(g) for g in grads]
        )
        with torch.no_grad():
            for param, grad in zip(params, grads, strict=True):
                param.sub_(0.01 * grad)


class Property(Newton):
    """Says so as timm's do."""

    mmamp_traits = dict()

    @property
    def is_second_order(self):
        return True


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, inputs, mode='loss'):
        return dict(loss=self.body(inputs).float().square().mean())


def batch(seed=0, size=8):
    generator = torch.Generator().manual_seed(seed)
    return dict(inputs=torch.randn(size, 4, generator=generator))


def expected(model, inputs):
    params = list(model.parameters())
    grads = torch.autograd.grad(
        model(inputs)['loss'], params, create_graph=True
    )
    return torch.autograd.grad(sum(g.sum() for g in grads), params)


@pytest.mark.parametrize('kind', [Newton, Property])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('counts', [1, 2])
@pytest.mark.parametrize('clip', [None, dict(max_norm=100.0)])
def test_the_hessian_is_right(kind, dtype, counts, clip):
    model = Model()
    wrapper = AmpOptimWrapper(
        kind(model.parameters(), lr=0.01),
        dtype=dtype,
        accumulative_counts=counts,
        clip_grad=clip,
    )
    data = [batch(seed) for seed in range(counts)]
    right = expected(model, torch.cat([x['inputs'] for x in data]))
    for each in data:
        model.train_step(each, wrapper)
    products = wrapper.optimizer.products
    tolerance = 1e-5 if dtype == 'float32' else 0.05
    for product, true in zip(products, right, strict=True):
        torch.testing.assert_close(
            product.float(), true, rtol=tolerance, atol=tolerance
        )


def test_of_clipped_gradients_it_is_that_of_the_loss():
    """As with torch's ``clip_grad_norm_`` in a loop by hand."""
    model = Model()
    wrapper = AmpOptimWrapper(
        Newton(model.parameters(), lr=0.01),
        dtype='float32',
        clip_grad=dict(max_norm=0.01),
    )
    right = expected(model, **batch())
    model.train_step(batch(), wrapper)
    assert wrapper.amp_scalars()['grad_norm'] > 0.1
    for product, true in zip(wrapper.optimizer.products, right, strict=True):
        torch.testing.assert_close(product, true, rtol=1e-5, atol=1e-6)


def test_a_window_that_is_not_finite_is_skipped():
    model = Model()
    wrapper = AmpOptimWrapper(
        Newton(model.parameters(), lr=0.01), dtype='bfloat16'
    )
    before = model.body[0].weight.clone()
    model.train_step(dict(inputs=batch()['inputs'] * torch.inf), wrapper)
    assert wrapper.skipped_steps == 1
    assert torch.equal(model.body[0].weight, before)
    model.train_step(batch(), wrapper)
    assert not torch.equal(model.body[0].weight, before)


def test_graphs_are_gone_after_a_step():
    """A gradient with a graph and its parameter hold on to each other."""
    model = Model()
    wrapper = AmpOptimWrapper(
        Newton(model.parameters(), lr=0.01), dtype='float32'
    )
    given = batch()
    kept = weakref.ref(given['inputs'])
    model.train_step(given, wrapper)
    del given
    gc.collect()
    assert kept() is None
