"""What each optimizer is built with, where its own defaults do not do."""

import inspect
from typing import Any

from .catalogue import Entry

ADAMW: dict[str, Any] = dict(type='torch.optim.AdamW', lr=1e-3)

ARGUMENTS: dict[str, Any] = dict(
    lr=1e-3,
    optimizer=ADAMW,
    base_optimizer=ADAMW,
    num_iterations=10,
    num_data=160,
)
"""Values of arguments that have no default, by the name of the argument."""

SETTINGS: dict[str, dict[str, Any]] = {
    # Without a line search it diverges.
    'torch.optim.LBFGS': dict(max_iter=4, line_search_fn='strong_wolfe'),
    'torchao.optim.CPUOffloadOptimizer': dict(
        optimizer_class='torch.optim.AdamW'
    ),
    **{
        f'bitsandbytes.optim.{name}{bits}': dict(momentum=0.9)
        for name in ('LARS', 'SGD')
        for bits in ('', '8bit', '32bit')
    },
    'bitsandbytes.optim.PytorchLARS': dict(momentum=0.9),
    'came_pytorch.CAME': dict(lr=1e-3),
    # They divide by curvature, which in bfloat16 may be zero.
    'pytorch_optimizer.AdaHessian': dict(eps=1e-2),
    'timm.optim.Adahessian': dict(eps=1e-2),
    # It divides by gradients that are zero for words not met yet.
    'heavyball.ADOPT': dict(eps=1e-2),
    # It begins to train after as many updates.
    'pytorch_optimizer.AdaShift': dict(keep_num=2),
    'pytorch_optimizer.AliG': dict(max_lr=0.1),
    'timm.optim.SGDP': dict(lr=1e-3),
}
"""More arguments of single ones."""

WITHOUT_RATE = (
    'galore_torch.GaLoreAdafactor',
    'pytorch_optimizer.A2Grad',
    'pytorch_optimizer.AliG',
    'timm.optim.Adafactor',
)
"""Those that have no learning rate that a schedule could change."""

Rules = list[dict[str, Any]]

MATRICES: Rules = [dict(dims=[2]), dict(optimizer=ADAMW)]
FLAGGED: Rules = [dict(dims=[2], use_muon=True), dict(use_muon=False)]
GROUPS: dict[str, Rules] = {
    'torch.optim.Muon': MATRICES,
    'pytorch_optimizer.SpectralSphere': MATRICES,
    'pytorch_optimizer.AdaGO': FLAGGED,
    'pytorch_optimizer.AdaMuon': FLAGGED,
    'pytorch_optimizer.DistributedMuon': FLAGGED,
    'pytorch_optimizer.Muon': FLAGGED,
    'pytorch_optimizer.MuonClip': FLAGGED,
    'pytorch_optimizer.NorMuon': FLAGGED,
}
"""``param_groups`` of those that take matrices alone, or are told of them."""


def settings_of(entry: Entry) -> dict[str, Any]:
    """Return the ``optimizer`` of a config, and its ``param_groups``.

    Args:
        entry (Entry): Which.
    """
    needed = [
        name
        for name, x in inspect.signature(entry.cls).parameters.items()
        if x.default is x.empty and name in ARGUMENTS
    ]
    arguments = {name: ARGUMENTS[name] for name in needed}
    optimizer = dict(
        type=entry.path, **{**arguments, **SETTINGS.get(entry.path, {})}
    )
    if entry.path in GROUPS:
        return dict(optimizer=optimizer, param_groups=GROUPS[entry.path])
    return dict(optimizer=optimizer)
