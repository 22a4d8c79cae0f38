import importlib

import pytest

from mmamp.migration.code.moves import GONE, MOVES, REGISTRIES
from mmamp.migration.code.rules import moved_imports as rule


@pytest.mark.parametrize('name', sorted(MOVES))
def test_everything_is_where_it_is_said_to_be(name):
    module, new = MOVES[name]
    assert hasattr(importlib.import_module(module), new)


@pytest.mark.parametrize('part', GONE)
def test_mmcv_2_has_none_of_what_is_gone(part):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f'mmcv{part}')


@pytest.mark.parametrize('name', sorted(set(REGISTRIES.values())))
def test_registries_are_there(name):
    assert hasattr(importlib.import_module('mmamp.registry'), name)


def test_imports_are_split(becomes):
    done = becomes(
        rule,
        """
        # the basics
        from mmcv.cnn import (ConvModule, constant_init,  # inits
                              xavier_init)
        from mmcv.runner import BaseModule as Base, load_checkpoint
        from mmcv.utils.parrots_wrapper import _BatchNorm
        """,
        """
        # the basics
        # inits
        from mmcv.cnn import ConvModule
        from mmengine.model import constant_init, xavier_init
        from mmengine.model import BaseModule as Base
        from mmengine.runner import load_checkpoint
        from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
        """,
    )
    assert [x.line for x in done.findings] == [2, 4, 5]


def test_names_that_changed_are_changed_everywhere(becomes):
    becomes(
        rule,
        """
        from mmcv.parallel import is_module_wrapper
        from mmcv.cnn import PLUGIN_LAYERS

        @PLUGIN_LAYERS.register_module()
        class A:
            x = is_module_wrapper(y.is_module_wrapper)
        """,
        """
        from mmengine.model import is_model_wrapper
        from mmamp.registry import MODELS

        @MODELS.register_module()
        class A:
            x = is_model_wrapper(y.is_module_wrapper)
        """,
    )


def test_what_is_gone_is_marked(convert):
    done = convert(
        rule,
        """
        import torch
        from mmcv.parallel import collate, is_module_wrapper
        from mmcv.runner import IterBasedRunner
        """,
    )
    assert [line for line, _ in done.todo] == [2, 3]
    assert 'pseudo_collate' in done.todo[0][1]
    assert 'from mmcv.parallel import collate\n' in done.text


def test_what_mmcv_2_still_has_stays(stays):
    stays(
        rule,
        """
        import mmcv
        from mmcv.cnn import ConvModule, build_norm_layer
        from mmcv.ops import ModulatedDeformConv2d
        from mine.mmcv.runner import load_checkpoint
        """,
    )


def test_the_class_of_constructors(becomes):
    becomes(
        rule,
        """
        from mmcv.runner import DefaultOptimizerConstructor
        class Decay(DefaultOptimizerConstructor):
            pass
        """,
        """
        from mmengine.optim import DefaultOptimWrapperConstructor
        class Decay(DefaultOptimWrapperConstructor):
            pass
        """,
    )


def test_what_mmcv_utils_has_no_more_is_marked(convert):
    done = convert(rule, 'from mmcv.utils import worker_init_fn, is_str\n')
    ((_, reason),) = done.todo
    assert 'worker_init_fn in mmcv.utils' in reason
