"""Names are what they are imported as, however a file spells them."""

from textwrap import dedent

import libcst as cst
import pytest

from mmamp.migration.code.names import of_type
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.qualified import Names
from mmamp.migration.code.rules import (
    backward_helpers,
    base_model,
    ddp_reducer,
    grad_callable,
    gradient_penalties,
    mmcv_attributes,
    moved_imports,
    optim_context,
    partial_fp16,
    precision_decorators,
    registries,
    repeated_registration,
    updates,
)

STEP = '    def train_step(self, data, optimizer):\n        pass\n'


def names_of_calls(text):
    module = cst.parse_module(dedent(text))
    names = Names(module)
    return [sorted(names.of(x.func)) for x in of_type(module, cst.Call)]


def test_names_by_their_imports():
    assert names_of_calls(
        """
        import torch.nn as tnn
        import mmcv.runner
        from torch import nn as N
        from mmcv.runner import auto_fp16 as af
        from . import builder
        from ..core import *
        tnn.Linear()
        mmcv.runner.load()
        N.Linear()
        af()
        builder.build()
        print()
        nn.Linear()
        nobody.knows()
        """
    ) == [
        ['torch.nn.Linear'],
        ['mmcv.runner.load'],
        ['torch.nn.Linear'],
        ['mmcv.runner.auto_fp16'],
        ['.builder.build'],
        ['builtins.print'],
        ['torch.nn.Linear'],
        ['nobody.knows'],
    ]


def test_names_of_the_file_itself():
    assert names_of_calls(
        """
        import mmcv
        try:
            import torch
        except ImportError:
            torch = None
        def print(mmcv):
            mmcv.load()
        mmcv.load()
        torch.load()
        print()
        """
    ) == [['<here>'], ['mmcv.load'], ['<here>', 'torch.load'], ['<here>']]


def test_what_is_put_in_later_is_of_the_whole_file():
    names = Names(cst.parse_module('from torch import nn as N\n'))
    node = cst.parse_expression('N.Linear')
    assert names.of(node) == {'torch.nn.Linear'}
    assert names.of(cst.parse_expression('f().x')) == frozenset()


def test_names_are_found_out_once_a_round():
    module = cst.parse_module('x = 1\n')
    notes = Notes(module)
    assert notes.names(module) is notes.names(module)
    other = cst.parse_module('y = 1\n')
    assert notes.names(other) is not notes.names(module)


# ---- decorators ------------------------------------------------------------


@pytest.mark.parametrize(
    ('line', 'decorator'),
    [
        ('from mmcv.runner import auto_fp16 as af', 'af()'),
        ('from mmcv.runner import force_fp32 as af', 'af()'),
        ('import mmcv.runner as R', 'R.auto_fp16()'),
        ('from mmcv import runner', 'runner.auto_fp16()'),
        ('from mmcv import runner as R', 'R.auto_fp16()'),
        ('import mmcv.runner', 'mmcv.runner.auto_fp16()'),
        ('from .fp16_utils import auto_fp16 as af', 'af()'),
    ],
)
def test_decorators(becomes, line, decorator):
    becomes(
        precision_decorators,
        f"""
        import torch
        {line}

        class Net(Base):
            @{decorator}
            def forward(self, x):
                return x
        """,
        """
        import torch

        class Net(Base):
            def forward(self, x):
                return x
        """,
    )


@pytest.mark.parametrize(
    'line',
    [
        'auto_fp16 = mine',
        'import mine\n\nauto_fp16 = mine.decorator',
        'for auto_fp16 in decorators: pass',
    ],
)
def test_decorators_that_only_look_like_it(stays, line):
    stays(
        precision_decorators,
        f'{line}\n\nclass Net(Base):\n    @auto_fp16()\n'
        '    def forward(self, x):\n        return x\n',
    )


def test_wrapping(becomes):
    becomes(
        precision_decorators,
        'import a\nimport mmcv.runner as R\nif fp16:\n'
        '    R.wrap_fp16_model(model)\n',
        'import a\nif fp16:\n    pass\n',
    )
    becomes(
        precision_decorators,
        'import a\nfrom mmcv.runner import wrap_fp16_model as wrap\n'
        'def f():\n    wrap(model)\n',
        'import a\ndef f():\n    pass\n',
    )


# ---- base classes ----------------------------------------------------------


@pytest.mark.parametrize(
    ('line', 'base'),
    [
        ('from torch import nn as N', 'N.Module'),
        ('import torch.nn as tnn', 'tnn.Module'),
        ('import torch as t', 't.nn.Module'),
        ('from torch.nn import Module', 'Module'),
        ('from torch.nn import Module as M', 'M'),
        ('from mmcv.runner import BaseModule as M', 'M'),
        ('import mmcv.runner as R', 'R.BaseModule'),
        ('from mmengine.model import BaseModule', 'BaseModule'),
    ],
)
def test_base_classes(convert, line, base):
    done = convert(base_model, f'{line}\nclass GAN({base}):\n{STEP}')
    assert [line for line, _ in done.todo] == [2]


@pytest.mark.parametrize(
    ('line', 'base'),
    [
        ('class Module: pass', 'Module'),
        ('class BaseModule: pass', 'BaseModule'),
        ('from .mine import BaseModule', 'BaseModule'),
        ('from .mine import nn', 'nn.Module'),
        ('nn = mine()', 'nn.Module'),
        ('import mine as torch', 'torch.nn.Module'),
    ],
)
def test_base_classes_that_only_look_like_it(stays, line, base):
    stays(base_model, f'{line}\nclass GAN({base}):\n{STEP}')


# ---- attributes and imports of mmcv ----------------------------------------


@pytest.mark.parametrize(
    ('line', 'name', 'new', 'after'),
    [
        ('import mmcv as M', 'M.load', 'mmengine', 'mmengine.load'),
        (
            'import mmcv.runner as R',
            'R.load_checkpoint',
            'mmengine.runner',
            'mmengine.runner.load_checkpoint',
        ),
        (
            'from mmcv import runner',
            'runner.load_checkpoint',
            'mmengine.runner',
            'mmengine.runner.load_checkpoint',
        ),
        (
            'import mmcv.parallel',
            'mmcv.parallel.is_module_wrapper',
            'mmengine.model',
            'mmengine.model.is_model_wrapper',
        ),
        ('import mmcv.utils as U', 'U.is_str', 'mmengine', 'mmengine.is_str'),
        (
            'from mmcv import cnn',
            'cnn.CONV_LAYERS',
            'mmamp.registry',
            'mmamp.registry.MODELS',
        ),
    ],
)
def test_attributes_of_mmcv(becomes, line, name, new, after):
    becomes(
        mmcv_attributes,
        f'import math\n# files\n{line}\nx = {name}(y)\n',
        f'import math\n# files\nimport {new}\nx = {after}(y)\n',
    )


def test_attributes_of_mmcv_beside_others(becomes):
    becomes(
        mmcv_attributes,
        'import mmcv as M\nM.load(x)\nM.imread(y)\n',
        'import mmcv as M\nimport mmengine\nmmengine.load(x)\nM.imread(y)\n',
    )
    becomes(
        mmcv_attributes,
        'import mmcv.runner\nmmcv.runner.BaseModule()\nmmcv.imread(y)\n',
        'import mmcv\nimport mmengine.model\n'
        'mmengine.model.BaseModule()\nmmcv.imread(y)\n',
    )


def test_attributes_of_mmcv_in_one_function(becomes):
    becomes(
        mmcv_attributes,
        """
        import mmcv

        def f(mmcv):
            return mmcv.load(1)

        def g():
            return mmcv.load(2)
        """,
        """
        import mmcv
        import mmengine

        def f(mmcv):
            return mmcv.load(1)

        def g():
            return mmengine.load(2)
        """,
    )


def test_attributes_that_mmcv_2_has_not(convert):
    done = convert(
        mmcv_attributes,
        'import mmcv.runner as R\nx = R.IterBasedRunner(R.load_checkpoint)\n',
    )
    ((line, reason),) = done.todo
    assert line == 1
    assert 'no IterBasedRunner in mmcv.runner' in reason
    assert 'x = R.IterBasedRunner(mmengine.runner.load_checkpoint)' in (
        done.text
    )


def test_attributes_that_only_look_like_it(stays):
    for text in (
        'import mmcv\nmmengine = 1\nmmcv.load(x)\n',
        'import mmcv\nmmcv.image.load(x)\n',
        'from mmcv.runner import IterBasedRunner as R\nR.load_checkpoint(x)\n',
        'from mmcv.ops import nms as R\nR.load(x)\n',
        'from .mmcv import runner\nrunner.load_checkpoint(x)\n',
        'try:\n    import mmcv\nexcept ImportError:\n    mmcv = None\n'
        'x = mmcv and mmcv.load(y)\n',
    ):
        stays(mmcv_attributes, text)


def test_moved_imports(becomes):
    becomes(
        moved_imports,
        'from mmcv.parallel import is_module_wrapper as wrapped\n'
        'from mmcv.cnn import PLUGIN_LAYERS as P\nwrapped(P)\n',
        'from mmengine.model import is_model_wrapper as wrapped\n'
        'from mmamp.registry import MODELS as P\nwrapped(P)\n',
    )


# ---- registries ------------------------------------------------------------


@pytest.mark.parametrize(
    'line',
    [
        'from mmgen.models.builder import LOSSES as L, build_loss as bl',
        'from ..builder import LOSSES as L, build_loss as bl',
    ],
)
def test_registries_by_other_names(becomes, line):
    becomes(
        registries,
        f'{line}\n\n@L.register_module()\nclass A:\n    x = bl(cfg)\n',
        'from mmamp.registry import MODELS as L, MODELS\n\n'
        '@L.register_module()\nclass A:\n    x = MODELS.build(cfg)\n',
    )


@pytest.mark.parametrize(
    ('line', 'name'),
    [
        ('import mmgen.models.builder as B', 'B'),
        ('from mmgen.models import builder', 'builder'),
        ('from .. import builder as B', 'B'),
        ('import mmgen.models.builder', 'mmgen.models.builder'),
    ],
)
def test_registries_of_a_module(becomes, line, name):
    becomes(
        registries,
        f"""
        import torch
        {line}

        @{name}.LOSSES.register_module()
        class A:
            x = {name}.build_loss(cfg)
        """,
        """
        import torch
        from mmamp.registry import MODELS

        @MODELS.register_module()
        class A:
            x = MODELS.build(cfg)
        """,
    )


def test_calls_inside_of_calls(becomes):
    becomes(
        registries,
        'from .. import builder as B\nfrom ..builder import build_head\n'
        'B.build_model(f(build_head(B.build_neck(x))), None, a(B.HEADS))\n',
        'from mmamp.registry import MODELS\n'
        'MODELS.build(f(MODELS.build(MODELS.build(x))), '
        'default_args=dict(train_cfg=None, test_cfg=a(MODELS)))\n',
    )


def test_registries_that_only_look_like_it(stays):
    for text in (
        'from .. import builder\nMODELS = 1\nbuilder.LOSSES.get(x)\n',
        'def f(builder):\n    return builder.build_loss(cfg)\n',
        'LOSSES = Registry()\n@LOSSES.register_module()\nclass A: pass\n',
        'from mmcv.cnn import builder\nbuilder.LOSSES.get(x)\n',
    ):
        stays(registries, text)


def test_registered_twice_by_two_names(becomes):
    becomes(
        repeated_registration,
        """
        from mmamp.registry import MODELS
        from mmamp.registry import MODELS as L

        @MODELS.register_module()
        @L.register_module()
        class Net(Base):
            pass
        """,
        """
        from mmamp.registry import MODELS
        from mmamp.registry import MODELS as L

        @MODELS.register_module()
        class Net(Base):
            pass
        """,
    )


def test_registered_in_something_else(stays):
    stays(
        repeated_registration,
        """
        import mmamp.registry
        MODELS = mine()

        @MODELS.register_module()
        @MODELS.register_module()
        class Net(Base):
            pass
        """,
    )


# ---- training steps --------------------------------------------------------

HELPER = """
{line}

class GAN(Base):
    def backward_disc(self, data):
        data = fake_name(data)
        loss = {name}.mse_loss(data)
        loss.backward()

    def train_step(self, data, optimizer):
        optimizer['disc'].zero_grad()
        self.backward_disc(data)
        optimizer['disc'].step()
"""


@pytest.mark.parametrize(
    ('line', 'name'),
    [
        ('import torch.nn.functional as F', 'F'),
        ('import torch.nn.functional as TF', 'TF'),
        ('from torch.nn import functional', 'functional'),
    ],
)
def test_backward_helpers(convert, line, name):
    text = HELPER.replace('        data = fake_name(data)\n', '')
    done = convert(backward_helpers, text.format(line=line, name=name))
    assert (
        'with optim_wrapper.optim_context(self.disc):\n'
        f'            loss = {name}.mse_loss(data)\n' in done.text
    )


def test_backward_helpers_that_only_look_like_it(convert):
    text = HELPER.replace('        data = fake_name(data)\n', '')
    done = convert(backward_helpers, text.format(line='F = mine()', name='F'))
    assert 'optim_context' not in done.text
    assert 'optim_wrapper.update_params(loss)' in done.text


UPDATE = """
{line}

class GAN(Base):
    def train_step(self, data, optimizer):
        loss = self.net(data)
        optimizer.zero_grad()
        {backward}
        {between}
        optimizer.step()
        return loss
"""


@pytest.mark.parametrize(
    ('line', 'name'),
    [
        ('from torch.nn.utils import clip_grad_norm_ as clip', 'clip'),
        ('from torch.nn.utils import clip_grad as c', 'c.clip_grad_norm_'),
    ],
)
def test_gradients_that_are_clipped(convert, line, name):
    text = UPDATE.format(
        line=line, backward='loss.backward()', between=f'{name}(data)'
    )
    ((_, reason),) = convert(updates, text).todo
    assert 'clipped' in reason


@pytest.mark.parametrize(
    ('line', 'name'),
    [
        ('from apex import amp', 'amp.scale_loss'),
        ('from apex import amp as A', 'A.scale_loss'),
        ('import apex.amp as A', 'A.scale_loss'),
        ('from apex.amp import scale_loss', 'scale_loss'),
    ],
)
def test_the_loss_scale_of_apex(convert, line, name):
    text = UPDATE.format(
        line=line,
        backward=f'with {name}(loss, optimizer) as scaled:\n'
        '            scaled.backward()',
        between='',
    )
    done = convert(updates, text)
    assert not done.todo
    assert 'optimizer.update_params(loss)\n' in done.text


def test_a_loss_scale_of_another_kind(convert):
    text = UPDATE.format(
        line='amp = mine()',
        backward='with amp.scale_loss(loss, optimizer) as scaled:\n'
        '            scaled.backward()',
        between='',
    )
    assert convert(updates, text).todo


@pytest.mark.parametrize(
    ('line', 'name'),
    [
        ('from torch import no_grad as without', 'without'),
        ('import torch as t', 't.no_grad'),
    ],
)
def test_forward_passes_without_gradients(convert, line, name):
    done = convert(
        optim_context,
        f"""
        {line}

        class GAN(Base):
            def train_step(self, data, optimizer):
                loss = self(data)
                optimizer.update_params(loss)
                with {name}():
                    x = self(data)
        """,
    )
    assert f'        with {name}():\n            x = self(data)' in done.text
    assert done.text.count('optim_context') == 1


# ---- penalties -------------------------------------------------------------


@pytest.mark.parametrize(
    ('line', 'name'),
    [
        ('from torch.autograd import grad as g', 'g'),
        ('from torch.autograd import grad', 'grad'),
        ('import torch.autograd as A', 'A.grad'),
        ('from torch import autograd', 'autograd.grad'),
    ],
)
def test_gradient_penalties(becomes, line, name):
    becomes(
        gradient_penalties,
        f"""
        {line}

        def r1(x, loss_scaler=None):
            y = {name}(x, x)
            return y
        """,
        f"""
        {line}

        def r1(x, grad={name}):
            y = grad(x, x)
            return y
        """,
    )


def test_gradients_of_something_else(stays):
    stays(
        gradient_penalties,
        'autograd = mine()\ndef r1(x, loss_scaler=None):\n'
        '    return autograd.grad(x)\n',
    )


def test_penalties_that_get_grad(becomes):
    text = """
        {line}

        class GAN(Base):
            def train_step(self, data, optimizer):
                loss = {name}(data, {scaler})
                optimizer.update_params(loss)
        """
    grad = "grad=getattr(optimizer, 'grad', torch.autograd.grad)"
    for line, name in (
        ('from mmgen.models import gradient_penalty_loss as gp', 'gp'),
        ('import mmgen.models as M', 'M.r1_gradient_penalty_loss'),
    ):
        becomes(
            grad_callable,
            text.format(
                line=line, name=name, scaler='loss_scaler=loss_scaler'
            ),
            text.format(
                line=f'{line}\n        import torch', name=name, scaler=grad
            ),
        )


def test_the_size_of_a_network(convert):
    done = convert(
        partial_fp16,
        """
        from mmgen.models import StyleGANv2Generator as G
        x = G(64, num_fp16_scales=4)
        """,
    )
    assert len(done.rules) == 1
    assert done.rules[0].startswith("dict(pattern=r'generator")


def test_what_the_reducer_looked_for(becomes):
    becomes(
        ddp_reducer,
        """
        import a
        from torch.nn.parallel.distributed import _find_tensors as find
        if ddp_reducer is not None:
            ddp_reducer.prepare_for_backward(find(x))
        y = 1
        """,
        """
        import a
        y = 1
        """,
    )
