"""What stood between a backward pass and its step."""

import textwrap
from pathlib import Path

from mmamp.migration.code import migrate_code

STEP = """
class Net:
    def train_step(self, data_batch, optimizer):
        loss = self.network(data_batch)
        optimizer.zero_grad()
        loss.backward()
        {}
        optimizer.step()
        return dict(log_vars={{}}, num_samples=1)
"""


def run(between):
    text = textwrap.dedent(STEP.format(between))
    return migrate_code(text, Path('net.py'))


def test_a_call_of_the_models_is_said():
    findings = run('self.ema.update()').findings
    assert any(
        x.outcome.name == 'WARNED' and 'between' in x.reason for x in findings
    )


def test_gradients_that_are_read_are_left():
    result = run('norm = total_norm(self.grads)')
    assert 'loss.backward()' in result.after
    assert any(x.outcome.name == 'TODO' for x in result.findings)
