"""Exported models."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from disturbed_models import disturb
from mmengine.registry import DefaultScope

from mmamp.export import main
from mmamp.models.base.in_evaluation import in_evaluation
from mmamp.registry import MODELS


@pytest.fixture
def export(tmp_path, monkeypatch):
    """``export(cfg, *arguments)`` by the command.

    It returns ``code``, the ``path`` of the file, the ``model``, and ``run``,
    which is called with inputs, the network's ``name`` and ``use_ema``.
    """
    monkeypatch.chdir(tmp_path)

    def run_command(cfg, *arguments):
        cfg.dump('config.py')
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(cfg.model)
        disturb(model)
        content = dict(meta=dict(iter=7), state_dict=model.state_dict())
        torch.save(content, 'iter_7.pth')
        before = set(Path().iterdir())
        code = main(['config.py', 'iter_7.pth', *arguments])
        made = sorted(set(Path().iterdir()) - before)

        @torch.no_grad()
        def run(*inputs, name='generator', use_ema=True):
            with in_evaluation(model, name, use_ema) as network:
                return network(*inputs)

        path = made[0] if made else None
        return SimpleNamespace(code=code, path=path, model=model, run=run)

    return run_command
