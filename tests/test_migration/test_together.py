"""Configs and modules of one project, migrated and trained together."""

import textwrap
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmamp.migration.findings import Outcome
from mmamp.migration.project import Project
from mmamp.migration.together import (
    classes_of,
    is_config,
    migrate_codes,
    migrate_project,
)

GAN = """
    class Gan(Base):
        def train_step(self, data_batch, optimizer, loss_scaler=None,
                       running_status=None):
            real = data_batch['img']
            optimizer['disc'].zero_grad()
            info = dict(disc=self.disc, real=real, loss_scaler=loss_scaler)
            loss, log_vars = self._get_disc_loss(info)
            if loss_scaler:
                loss_scaler.scale(loss).backward()
                loss_scaler.unscale_(optimizer['disc'])
                loss_scaler.step(optimizer['disc'])
            else:
                loss.backward()
                optimizer['disc'].step()
            return dict(log_vars=log_vars, num_samples=len(real))
"""
RESTORER = """
    class Restorer(Base):
        def train_step(self, data_batch, optimizer):
            loss, log_vars = self._get_disc_loss(
                dict(disc=self.disc, real=data_batch['img']))
            optimizer['disc'].zero_grad()
            loss.backward()
            optimizer['disc'].step()
            return dict(log_vars=log_vars, num_samples=1)
"""
SGD = "dict(type='SGD', lr=0.1)"
AMP = """
    total_iters = 3
    runner = dict(type='DynamicIterBasedRunner',
                  fp16_loss_scaler=dict(init_scale=512))
"""
CASES = {
    'float32': (GAN, f"model=dict(type='Gan')\noptimizer=dict(disc={SGD})"),
    'half': (
        GAN,
        f"model=dict(type='Gan')\noptimizer=dict(disc={SGD})\n"
        + textwrap.dedent(AMP),
    ),
    'one network': (
        RESTORER,
        f"model=dict(type='Restorer')\noptimizers=dict(disc={SGD})",
    ),
    'one wrapper over all': (
        GAN.replace("optimizer['disc']", 'optimizer'),
        f"model=dict(type='Gan')\noptimizer={SGD}",
    ),
}


class Base(BaseModel):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.disc = nn.Linear(3, 1)

    def forward(self, *args, **kwargs):
        raise NotImplementedError

    def _get_disc_loss(self, info):
        real = info['real'].detach().requires_grad_()
        loss = info['disc'](real).tanh().mean()
        if {'grad', 'loss_scaler'} & set(info):
            grad = info.get('grad', torch.autograd.grad)
            (slope,) = grad(outputs=loss, inputs=real, create_graph=True)
            loss = loss + slope.square().sum()
        return loss, dict(loss=loss.detach())


@pytest.fixture(params=CASES)
def folder(request, tmp_path):
    code, config = CASES[request.param]
    (tmp_path / 'net.py').write_text(textwrap.dedent(code))
    (tmp_path / 'config.py').write_text(f'{config}\n')
    return tmp_path


def _model_of(text):
    scope = dict(Base=Base)
    exec(text, scope)
    classes = [x for x in scope.values() if isinstance(x, type)]
    return next(x for x in classes if issubclass(x, Base) and x is not Base)()


def test_what_comes_out_trains_as_before(folder):
    code = (folder / 'net.py').read_text()
    old = _model_of(code)
    optimizer = torch.optim.SGD(old.disc.parameters(), lr=0.1)
    is_one = "optimizer['disc']" not in code
    for result in migrate_project(sorted(folder.glob('*.py')), Project()):
        assert not result.of(Outcome.TODO)
        result.path.write_text(result.after)
    new = _model_of((folder / 'net.py').read_text())
    cfg = Config.fromfile(folder / 'config.py')
    wrapper = build_optim_wrapper(new, cfg.optim_wrapper)
    before = new.disc.weight.clone()
    for _ in range(3):
        batch = dict(img=torch.randn(2, 3))
        old.train_step(batch, optimizer if is_one else dict(disc=optimizer))
        new.train_step(batch, wrapper)
    assert not torch.equal(new.disc.weight, before)
    if 'Amp' in (folder / 'config.py').read_text():
        assert new.disc.weight.isfinite().all()
        close = dict(rtol=0.05, atol=0.05)
        torch.testing.assert_close(new.disc.weight, old.disc.weight, **close)
    else:
        assert torch.equal(new.disc.weight, old.disc.weight)


def test_grad_of_wrappers_that_have_it(tmp_path):
    code, config = CASES['half']
    (tmp_path / 'net.py').write_text(textwrap.dedent(code))
    (tmp_path / 'config.py').write_text(f'{config}\n')
    paths = sorted(tmp_path.glob('*.py'))
    assert "grad=optim_wrapper['disc'].grad" in (
        migrate_project(paths, Project())[1].after
    )
    # Alone it does not know, and does well with both.
    (alone,) = migrate_codes([tmp_path / 'net.py'], Project())
    assert "getattr(optim_wrapper['disc'], 'grad', torch" in alone.after


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ("_base_ = 'x.py'\n", True),
        ("optimizer = dict(type='SGD')\n", True),
        ('model = dict()\nfor x in range(3):\n    pass\n', True),
        ('import torch\n', False),
        ('', False),
        ('model = 1\nclass A:\n    pass\n', False),
        ('x = (\n', False),
    ],
)
def test_which_files_are_configs(tmp_path, text, expected):
    path = tmp_path / 'a.py'
    path.write_text(text)
    assert is_config(path) is expected


def test_classes_and_their_bases(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text('class A(x.B, C):\n    class D:\n        pass\n')
    assert classes_of([path, Path('nowhere.py')]) == {
        'A': {'B', 'C'},
        'D': set(),
    }
