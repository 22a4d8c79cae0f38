import pytest

from mmamp.migration.code.rules import constructors as rule

HEADS = [
    'from mmcv.runner import OPTIMIZER_BUILDERS\n'
    '@OPTIMIZER_BUILDERS.register_module()\nclass Mine:\n',
    'from mmcv.runner import DefaultOptimizerConstructor as D\n'
    'class Mine(D):\n',
]


@pytest.mark.parametrize('head', HEADS)
def test_what_makes_optimizers_itself_is_marked(convert, head):
    done = convert(
        rule,
        f'{head}    def __init__(self, optimizer_cfg, paramwise_cfg=None):\n'
        '        pass\n\n    def __call__(self, model):\n        pass\n',
    )
    first, second = (x for _, x in done.todo)
    assert 'optim_wrapper_cfg, of which optimizer' in first
    assert 'returns an optimizer wrapper' in second


@pytest.mark.parametrize('head', HEADS)
def test_what_adds_parameters_stays(stays, head):
    stays(
        rule,
        f"{head}    def add_params(self, params, module, prefix=''):\n"
        '        pass\n',
    )
