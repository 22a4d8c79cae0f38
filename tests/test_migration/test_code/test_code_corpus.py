"""Modules of 0.x come out as their public counterparts of 1.x are.

What is expected is written down from the public files of 1.x that the header
of each module names, not from what the tool makes.
"""

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

from mmamp.migration.code import migrate_code
from mmamp.migration.findings import MARK, Outcome, Result

CORPUS = Path(__file__).parents[1] / 'corpus' / 'code'
FILES = sorted(CORPUS.glob('*.py'))
GONE = (
    'auto_fp16',
    'force_fp32',
    'fp16_enabled',
    'ddp_reducer',
    'loss_scaler',
    'running_status',
    'apex',
    '_find_tensors',
    'build_backbone',
    'build_component',
    'build_loss',
    'build_module',
    'is_module_wrapper',
    'num_samples',
)


class Fact(NamedTuple):
    """What is known of a training step of 1.x.

    Args:
        updates (list[str]): Names of the wrappers, in the order of updates.
        networks (list[str]): Those which have an ``optim_context``.
        returns (set[str]): Variables that are returned.
    """

    updates: list[str]
    networks: list[str]
    returns: set[str]


FACTS = {
    'mmgen_static_gan': Fact(
        ['discriminator', 'generator'],
        ['discriminator', 'generator'],
        {'log_vars', 'log_vars_disc'},
    ),
    'mmgen_conditional_gan': Fact(
        ['discriminator', 'generator'],
        ['discriminator', 'generator'],
        {'log_vars', 'log_vars_disc'},
    ),
    'mmgen_pix2pix': Fact(
        ['discriminators', 'generators'],
        ['generators', 'discriminators', 'generators'],
        {'log_vars'},
    ),
    'mmgen_diffusion': Fact(['denoising'], ['denoising'], {'log_vars'}),
    'mmedit_basic_restorer': Fact([''], [''], {'log_vars'}),
    'mmedit_srgan': Fact(
        ['generator', 'discriminator'],
        ['generator', 'generator', 'discriminator'],
        {'log_vars'},
    ),
    'mmedit_one_stage': Fact(
        ['disc', 'generator'],
        ['generator', 'disc', 'generator'],
        {'log_vars'},
    ),
    'mmedit_global_local': Fact(
        ['disc', 'generator'],
        ['generator', 'disc', 'generator'],
        {'log_vars'},
    ),
    'mmedit_mattor': Fact([''], [''], {'log_vars'}),
}


def migrated(name: str) -> Result:
    path = CORPUS / f'{name}.py'
    return migrate_code(path.read_text(), path)


def function(text: str, name: str) -> ast.FunctionDef:
    (found,) = (
        x
        for x in ast.walk(ast.parse(text))
        if isinstance(x, ast.FunctionDef) and x.name == name
    )
    return found


class Calls(ast.NodeVisitor):
    """Methods that are called of wrappers, in the order of lines."""

    def __init__(self, node: ast.AST) -> None:
        self.found: list[tuple[str, str, str]] = []
        self.visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if owner.startswith('optim_wrapper'):
                key = owner.removeprefix('optim_wrapper').strip("[']")
                what = ast.unparse(node.args[0]) if node.args else ''
                self.found.append((node.func.attr, key, what))
        self.generic_visit(node)


@pytest.mark.parametrize('name', sorted(FACTS))
def test_training_steps_are_those_of_1x(name):
    fact = FACTS[name]
    step = function(migrated(name).after, 'train_step')
    assert ast.unparse(step.args) == 'self, data, optim_wrapper'
    calls = Calls(step).found
    updates = [key for what, key, _ in calls if what == 'update_params']
    assert updates == fact.updates
    contexts = [x for x in calls if x[0] == 'optim_context']
    assert [key for _, key, _ in contexts] == fact.networks
    # Each wrapper has its own network.
    assert all(
        net == (f'self.{key}' if key else 'self') for _, key, net in contexts
    )
    assert {x[0] for x in calls} == {'update_params', 'optim_context'}
    returned = {
        ast.unparse(x.value)
        for x in ast.walk(step)
        if isinstance(x, ast.Return) and x.value
    }
    assert returned == fact.returns
    words = {x.attr for x in ast.walk(step) if isinstance(x, ast.Attribute)}
    assert not words & {'zero_grad', 'backward', 'step', 'scale_loss'}


@pytest.mark.parametrize('name', sorted(FACTS))
def test_nothing_of_0x_is_left(name):
    result = migrated(name)
    code = ast.unparse(ast.parse(result.after))
    assert [x for x in GONE if x in code] == []
    assert 'from mmamp.registry import MODELS' in code
    expected = 1 if name == 'mmgen_diffusion' else 0  # its base class
    assert len(result.of(Outcome.TODO)) == result.after.count(MARK) == expected


@pytest.mark.parametrize('path', FILES, ids=lambda x: x.stem)
def test_a_second_run_changes_nothing(path):
    once = migrate_code(path.read_text(), path)
    twice = migrate_code(once.after, path)
    assert twice.after == once.after
    assert twice.of(Outcome.TODO) == [] or MARK in once.after


@pytest.mark.parametrize('path', FILES, ids=lambda x: x.stem)
def test_the_header_names_the_public_file(path):
    header = path.read_text().split('import', 1)[0]
    project = {'mmgen': 'MMGeneration 0.7.3', 'mmedit': 'MMEditing 0.16.1'}
    words = ' '.join(header.replace('#', ' ').split())
    assert project[path.stem.split('_')[0]] in words
    assert f'{path.stem.split("_")[0]}/models/' in words


def test_accumulation_is_the_wrappers():
    code = migrated('mmgen_conditional_gan').after
    assert 'batch_accumulation_steps' not in code
    step = function(code, 'train_step')
    loops = [ast.unparse(x.iter) for x in ast.walk(step) if type(x) is ast.For]
    assert loops == [
        'range(self.gen_steps)',
        "range(optim_wrapper['generator']._accumulative_counts)",
    ]


def test_one_scaler_for_two_networks_is_warned_of():
    warned = migrated('mmgen_static_gan').of(Outcome.WARNED)
    assert any("loss_scaler='shared'" in x.reason for x in warned)


def test_optimizers_of_the_models_own_are_left():
    result = migrated('mmgen_singan')
    (todo,) = result.of(Outcome.TODO)
    assert 'own optimizers' in todo.reason
    before = (CORPUS / 'mmgen_singan.py').read_text()
    step = function(before, 'train_step')
    assert ast.dump(step) == ast.dump(function(result.after, 'train_step'))


def test_losses_know_of_no_scaler():
    code = migrated('mmgen_losses').after
    penalty = function(code, 'r1_penalty')
    assert [x.arg for x in penalty.args.args] == [
        'discriminator',
        'real',
        'grad',
    ]
    assert 'scale' not in ast.unparse(penalty)
    assert 'use_apex_amp=self' not in code


def test_helpers_update():
    code = migrated('mmedit_pix2pix').after
    for side in ('discriminator', 'generator'):
        helper = function(code, f'backward_{side}')
        assert helper.args.args[-1].arg == 'optim_wrapper'
        assert Calls(helper).found == [
            ('optim_context', '', f'self.{side}'),
            ('update_params', '', f'loss_{side[0]}'),
        ]
    step = ast.unparse(function(code, 'train_step'))
    assert 'zero_grad' not in step
    assert "optim_wrapper=optim_wrapper['generator']" in step


def test_what_was_in_float32_is_said():
    result = migrated('mmedit_mattor')
    assert any(
        'Mattor.loss' in x.reason and 'pred.float()' in x.reason
        for x in result.of(Outcome.WARNED)
    )
