"""Networks of a GAN, run to see what they have learnt."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from mmamp.utils.modules import in_eval_mode, unwrap

from .base_gan import BaseGAN


@contextmanager
def in_evaluation(
    model: BaseGAN, name: str, use_ema: bool
) -> Iterator[nn.Module]:
    """Yield a network of a model, in evaluation mode for a while.

    Args:
        model (BaseGAN): The model.
        name (str): Of the network in it.
        use_ema (bool): Whether its average is meant, if there is one.
    """
    # Without its model wrapper, in which ranks would wait for each other.
    network = unwrap(getattr(model, name))
    average = getattr(model, f'{name}_ema')
    if use_ema and average is not None:
        model.estimate_statistics()
        network = average
    with in_eval_mode(network):
        yield network


def check_mode(mode: str) -> None:
    """Refuse a mode of ``forward`` that a GAN has not.

    Raises:
        ValueError: If ``mode`` is neither ``'tensor'`` nor ``'predict'``.
    """
    if mode not in ('tensor', 'predict'):
        raise ValueError(
            f"mode={mode!r}: give 'tensor' or 'predict' "
            '(a GAN is trained through train_step; in several processes '
            "with model_wrapper_cfg=dict(type='mmamp."
            "SeparateDistributedDataParallel'))"
        )
