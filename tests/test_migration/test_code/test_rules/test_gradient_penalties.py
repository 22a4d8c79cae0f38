import torch

from mmamp.migration.code.rules import gradient_penalties as rule

BEFORE = """
import torch
from torch import autograd

def r1(disc, real, loss_scaler=None, use_apex_amp=False):
    real = real.clone().requires_grad_()
    pred = disc(real)
    if loss_scaler:
        pred = loss_scaler.scale(pred)
    elif use_apex_amp:
        from apex.amp._amp_state import _amp_state
        pred = _amp_state.loss_scalers[0].loss_scale() * pred.float()
    grad = autograd.grad(
        outputs=pred,
        inputs=real,
        grad_outputs=torch.ones_like(pred),
        create_graph=True)[0]
    if loss_scaler:
        # unscale
        grad = grad / loss_scaler.get_scale()
    return grad.pow(2).sum()
"""


def test_a_penalty_takes_grad(becomes):
    done = becomes(
        rule,
        BEFORE,
        """
        import torch
        from torch import autograd

        def r1(disc, real, grad=autograd.grad):
            real = real.clone().requires_grad_()
            pred = disc(real)
            gradient = grad(
                outputs=pred,
                inputs=real,
                grad_outputs=torch.ones_like(pred),
                create_graph=True)[0]
            # unscale
            return gradient.pow(2).sum()
        """,
    )
    assert [line for line, _ in done.warned] == [4]


def test_it_is_the_same_penalty(convert):
    before, after = {}, {}
    exec(BEFORE, before)
    exec(convert(rule, BEFORE).text, after)
    real = torch.randn(3, 4)
    weight = torch.randn(4)
    values = [
        x['r1'](lambda image: (image * weight).sum(1).exp(), real)
        for x in (before, after)
    ]
    assert torch.equal(*values)
    assert values[0] > 0


def test_the_path_without_a_scale_is_taken(becomes):
    becomes(
        rule,
        """
        class Path(nn.Module):
            def forward(self, x):
                return path(x, use_apex_amp=self.use_apex_amp, weight=2)

        def path(x, loss_scaler=None, use_apex_amp=False):
            if loss_scaler:
                y = loss_scaler.scale(x)
                g = torch.autograd.grad(y, x)
            else:
                # as it is
                g = torch.autograd.grad(x, x)
            return g
        """,
        """
        class Path(nn.Module):
            def forward(self, x):
                return path(x, weight=2)

        def path(x, grad=torch.autograd.grad):
            # as it is
            g = grad(x, x)
            return g
        """,
    )


def test_what_is_not_understood_is_marked(convert):
    done = convert(
        rule,
        """
        def f(x, loss_scaler=None):
            y = helper(x, loss_scaler)
            return torch.autograd.grad(y, x)
        """,
    )
    assert [line for line, _ in done.todo] == [1]


def test_other_functions_stay(stays):
    stays(rule, 'def f(x, loss_scaler):\n    return loss_scaler.scale(x)\n')
