"""What users' own loops get wrong, told once, with what to do."""

import logging
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mmamp.compat.torch import BatchNorm
from mmamp.logging.once import LogOnce
from mmamp.utils.listing import listed


class Usage:
    """Tells of one optimizer wrapper what its user should know.

    Attributes:
        name (str): The optimizer's in the config; empty where there is only
            one.
        has_own_gradients (bool): Whether gradients that are there are its own.
        frozen (Mapping[str, Parameter]): Parameters of its modules that it
            was not given, by name.
        log_once (LogOnce): Of the wrapper.
    """

    def __init__(self) -> None:
        self.name = ''
        self.has_own_gradients = False
        self.frozen: Mapping[str, nn.Parameter] = {}
        self.log_once = LogOnce()

    @property
    def who(self) -> str:
        """str: The wrapper, and its name in the config."""
        return 'AmpOptimWrapper' + (f' {self.name!r}' if self.name else '')

    def say_once(self, text: str, key: str, level: int = logging.INFO) -> None:
        """Log a line that names the wrapper, the first time only.

        Args:
            text (str): Without the name, and without a full stop.
            key (str): What tells it from other lines.
            level (int): Of the log. Defaults to INFO.
        """
        self.log_once(f'{self.who}: {text}.', level, key)

    def check_backward(
        self,
        params: Sequence[nn.Parameter],
        is_float32: bool,
        is_inside: bool,
        device_type: str,
    ) -> None:
        """Warn of what is wrong about a backward pass that is to be made.

        Args:
            params (Sequence[Parameter]): The optimizer's.
            is_float32 (bool): Whether its forward passes should have been
                cast, and were not.
            is_inside (bool): Whether it is made inside of ``optim_context``.
            device_type (str): Of the parameters.
        """
        if is_float32:
            self.say_once(
                'backward() was called, but no forward pass has run inside '
                '`with optim_wrapper.optim_context(model):`, so that '
                'this training is in float32',
                'context',
                logging.WARNING,
            )
        if not is_inside and torch.is_autocast_enabled(device_type):
            self.say_once(
                'backward() was called inside of a torch.autocast of your '
                'own, which is switched off for it. Let the forward pass run '
                'in `with optim_wrapper.optim_context(model):` and nothing '
                'else in autocast',
                'own autocast',
                logging.WARNING,
            )
        if not self.has_own_gradients and any(
            p.grad is not None for p in params
        ):
            self.say_once(
                'its parameters hold gradients that it did not make, maybe at '
                'the loss scale of another optimizer; they are added to its '
                'own. Freeze this network while another is trained '
                '(`network.requires_grad_(False)`), or call zero_grad() '
                'before backward()',
                'foreign gradients',
                logging.WARNING,
            )
        if self.frozen and any(p.requires_grad for p in self.frozen.values()):
            self._warn_of_thawed()

    def _warn_of_thawed(self, shown: int = 5) -> None:
        names = [n for n, p in self.frozen.items() if p.requires_grad]
        self.say_once(
            f'{len(names)} parameters that were frozen when the optimizer was '
            f'built require a gradient now (requires_grad=True): '
            f'{listed(names, shown)}. No optimizer has them, so '
            'that they stay as they are; let them be trainable when the run '
            'begins, and freeze them then',
            'thawed',
            logging.WARNING,
        )

    def check_batch_norm(
        self, model: nn.Module, params: Sequence[nn.Parameter], counts: int
    ) -> None:
        """Tell of BatchNorm in what an optimizer trains by micro-batches."""
        own = {id(param) for param in params}
        if counts > 1 and any(
            isinstance(module, BatchNorm)
            and any(id(param) in own for param in module.parameters())
            for module in model.modules()
        ):
            self.say_once(
                'BatchNorm sees one micro-batch at a time, not the window of '
                f'{counts}',
                'batch norm',
            )
