"""MMagic's guide to mixed precision: its left column of code.

docs/en/migration/amp.md of open-mmlab/mmagic. The right column builds the
network by a registry, has no decorator, takes ``optim_wrapper``, runs the
network in ``optim_context`` and calls ``update_params``.
"""

import ast
from pathlib import Path

from mmamp.migration.code import migrate_code

LEFT = """
import torch.nn as nn
from mmedit.core.runners.fp16_utils import auto_fp16
from mmedit.models.builder import build_model


class Block(nn.Module):

    def __init__(self, cfg):
        super().__init__()
        self.net = build_model(cfg)

    @auto_fp16
    def forward(self, x):
        return self.net(x)


class Model(nn.Module):

    def __init__(self, cfg):
        super().__init__()
        self.demo_network = Block(cfg)

    def train_step(self, data_batch, optimizer, ddp_reducer=None,
                   loss_scaler=None, use_apex_amp=False, running_status=None):
        inputs = data_batch['img']
        output = self.demo_network(inputs)

        optimizer.zero_grad()
        loss, log_vars = self.get_loss(output)

        if ddp_reducer is not None:
            ddp_reducer.prepare_for_backward(_find_tensors(loss))

        if loss_scaler:
            # scaled
            loss_scaler.scale(loss).backward()
        elif use_apex_amp:
            from apex import amp
            with amp.scale_loss(loss, optimizer, loss_id=0) as scaled_loss:
                scaled_loss.backward()
        else:
            loss.backward()

        if loss_scaler:
            loss_scaler.unscale_(optimizer)
            loss_scaler.step(optimizer)
        else:
            optimizer.step()
"""


def test_the_left_column_gives_the_right_one():
    after = migrate_code(LEFT, Path('model.py')).after
    tree = ast.parse(after)
    (step,) = (
        x
        for x in ast.walk(tree)
        if isinstance(x, ast.FunctionDef) and x.name == 'train_step'
    )
    assert [x.arg for x in step.args.args] == ['self', 'data', 'optim_wrapper']
    body = ast.unparse(step)
    assert 'data = self.data_preprocessor(data, True)' in body
    (context,) = (x for x in ast.walk(step) if isinstance(x, ast.With))
    assert 'optim_wrapper.optim_context(' in ast.unparse(context.items[0])
    assert 'self.demo_network(inputs)' in ast.unparse(context)
    assert body.rstrip().endswith('optim_wrapper.update_params(loss)')
    for gone in ('loss_scaler', 'apex', 'zero_grad', '.step()', 'ddp_reducer'):
        assert gone not in body
    assert 'MODELS.build(cfg)' in after
    assert 'auto_fp16' not in after
    assert '# scaled' in after
