"""What a model is to those who meet it inside of an accumulation window.

The window's forward passes have changed its buffers (BatchNorm's statistics),
and no step has judged yet whether they were finite.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import Judging

from .runner_access import named_wrappers


@contextmanager
def judged_buffers(runner: Any) -> Iterator[None]:
    """Have the model's buffers be what the last steps left.

    Args:
        runner (Runner): The runner.
    """
    wrappers = getattr(runner, 'optim_wrapper', None) and [
        wrapper
        for _, wrapper in named_wrappers(runner)
        if isinstance(wrapper, Judging)
    ]
    with ExitStack() as stack:
        for wrapper in wrappers or ():
            stack.enter_context(wrapper.judged_buffers())
        yield


def judge_checkpoint(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Have a checkpoint's model be what the last steps left.

    A run that is resumed from it gets the rest of the window from its
    optimizer.

    Args:
        runner (Runner): The runner.
        checkpoint (dict): Its ``state_dict`` is changed; MMEngine's EMAHook
            has put the model into ``ema_state_dict``.
    """
    if not any(
        isinstance(wrapper, Judging) and wrapper.window_state() is not None
        for _, wrapper in named_wrappers(runner)
    ):
        return
    model = unwrap(runner.model)
    now = {name: b.detach().clone() for name, b in model.named_buffers()}
    with judged_buffers(runner):
        judged = {n: b.detach().clone() for n, b in model.named_buffers()}
    for key, prefix in (('state_dict', ''), ('ema_state_dict', 'module.')):
        state = checkpoint.get(key, {})
        for name, buffer in now.items():
            saved = state.get(prefix + name)
            # An average has values of its own.
            if saved is not None and torch.equal(saved, buffer.to(saved)):
                state[prefix + name] = judged[name].to(saved)
