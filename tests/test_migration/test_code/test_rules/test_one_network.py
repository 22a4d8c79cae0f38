from pathlib import Path

import pytest

from mmamp.migration.code import migrate_code
from mmamp.migration.code.rules import one_network as rule
from mmamp.migration.findings import Outcome
from mmamp.migration.project import Project, Wrappers

STEP = """
class Restorer(BasicRestorer):
    def train_step(self, data, optimizer{}):
        loss = self(data)
        optimizer['generator'].zero_grad()
        loss.backward()
        optimizer['generator'].step()
        return dict(log_vars=dict(), num_samples=1)
"""
SINGLE, SEVERAL = Wrappers(True, True), Wrappers(False, True)


def test_of_mmediting(becomes):
    done = becomes(
        rule, STEP.format(''), STEP.format('').replace("['generator']", '')
    )
    ((line, reason),) = done.warned
    assert line == 4
    assert 'optimizers=dict(generator=...)' in reason


@pytest.mark.parametrize('more', ['loss_scaler', 'running_status'])
def test_of_mmgeneration(stays, more):
    done = stays(rule, STEP.format(f', {more}=None'))
    ((_, reason),) = done.warned
    assert "an optim_wrapper with the entry 'generator'" in reason


def test_a_parent_may_train_others(stays):
    stays(
        rule,
        """
        class Restorer(SRGAN):
            def train_step(self, data, optimizer):
                outputs = super().train_step(data, optimizer)
                optimizer['generator'].step()
                return outputs
        """,
    )


@pytest.mark.parametrize(
    ('known', 'is_one'), [({SINGLE}, True), ({SEVERAL}, False)]
)
@pytest.mark.parametrize('name', ['Restorer', 'Heir', 'HeirOfHeir'])
@pytest.mark.parametrize('more', ['', ', loss_scaler=None'])
def test_the_configs_decide(known, is_one, name, more):
    classes = {'Heir': {'Restorer'}, 'HeirOfHeir': {'Heir'}}
    project = Project(wrappers={name: known}, classes=classes)
    result = migrate_code(STEP.format(more), Path('a.py'), project)
    assert ("optim_wrapper['generator']" in result.after) != is_one
    assert 'optim_context(self)' in result.after or not is_one
    reasons = [x.rule for x in result.of(Outcome.WARNED)]
    assert 'one_network' not in reasons


def test_configs_that_disagree():
    project = Project(wrappers={'Restorer': {SINGLE, SEVERAL}})
    result = migrate_code(STEP.format(''), Path('a.py'), project)
    assert "optim_wrapper['generator'].update_params" in result.after
    assert '# TODO(mmamp migrate): some configs' in result.after
    (found,) = result.of(Outcome.TODO)
    assert 'let all have the same' in found.reason
