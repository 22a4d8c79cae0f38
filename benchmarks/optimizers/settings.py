"""What each optimizer is built with, where its own defaults do not do."""

import inspect
from typing import Any

from .catalogue import Entry

BASE = dict(type='torch.optim.AdamW', lr=1e-3)

ARGUMENTS: dict[str, Any] = dict(
    lr=1e-3,
    optimizer=BASE,
    base_optimizer=BASE,
    num_iterations=10,
    num_data=160,
)
"""Values of arguments that have no default, by the name of the argument."""

GIVEN = ('params', 'named_parameters', 'model')
"""Arguments that are not a config's: what is trained."""

SETTINGS: dict[str, dict[str, Any]] = {
    # Without a line search it diverges.
    'torch.optim.LBFGS': dict(max_iter=4, line_search_fn='strong_wolfe'),
    'torchao.optim.CPUOffloadOptimizer': dict(
        optimizer_class='torch.optim.AdamW'
    ),
    'pytorch_optimizer.AliG': dict(max_lr=0.1),
    'came_pytorch.CAME': dict(lr=1e-3),
}
"""More of single ones."""


def settings_of(entry: Entry) -> dict[str, Any]:
    """Return the ``optimizer`` of a config.

    Args:
        entry (Entry): Which.
    """
    found: dict[str, Any] = dict(type=entry.path)
    for name, x in inspect.signature(entry.cls).parameters.items():
        if (
            x.default is x.empty
            and x.kind not in (x.VAR_KEYWORD, x.VAR_POSITIONAL)
            and name not in GIVEN
            and name in ARGUMENTS
        ):
            found[name] = ARGUMENTS[name]
    return {**found, **SETTINGS.get(entry.path, {})}
