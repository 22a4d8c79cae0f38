"""The stock MMEngine way: its wrappers, and a ``train_step`` as in MMagic."""

from typing import Any

import torch
from mmengine.device import get_device
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from mmamp.registry import MODELS

from .models import EMPTY, OPTIMIZER
from .turns import Turns
from .under_runner import common, run
from .variants import Variant


class StockGAN(BaseModel):
    """A GAN that leaves its precision to MMEngine's wrappers.

    Args:
        cfg (dict): What mmamp's model is built from.
    """

    def __init__(self, cfg: dict[str, Any]) -> None:
        layout = cfg['memory_format']
        super().__init__(
            dict(type='mmamp.GANDataPreprocessor', memory_format=layout)
        )
        self.generator = MODELS.build(cfg['generator'])
        self.discriminator = MODELS.build(cfg['discriminator'])
        self.gan_loss = MODELS.build(cfg['gan_loss'])
        self.penalties = nn.ModuleList(
            MODELS.build(x) for x in cfg['disc_regularizers']
        )
        self.noise_size = cfg['noise_size']
        self.num_classes = cfg['num_classes']
        self.to(memory_format=getattr(torch, layout))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Do nothing, as nobody asks for it."""

    def train_step(
        self, data: dict[str, Any], optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """Train the discriminator, then the generator."""
        update = MessageHub.get_current_instance().get_info('iter')
        batch = self.data_preprocessor(data, True)
        real = batch['inputs']
        labels = (
            []
            if self.num_classes is None
            else [batch['data_samples']['gt_label']]
        )
        wrapper = optim_wrapper['discriminator']
        with wrapper.optim_context(self.discriminator):
            logs = self._train_discriminator(real, labels, update, wrapper)
        wrapper = optim_wrapper['generator']
        self.discriminator.requires_grad_(False)
        with wrapper.optim_context(self.generator):
            noise, drawn = self._latents(real)
            fake = self.generator(noise, *drawn)
            pred = self.discriminator(fake, *drawn)
            losses = dict(loss_gen=self.gan_loss(pred, True))
            loss, gen_logs = self.parse_losses(losses)
            wrapper.update_params(loss)
        self.discriminator.requires_grad_(True)
        return {**logs, **gen_logs}

    def _train_discriminator(
        self,
        real: Tensor,
        labels: list[Tensor],
        update: int,
        wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        noise, drawn = self._latents(real)
        with torch.no_grad():
            fake = self.generator(noise, *drawn)
        losses = dict(
            loss_disc_fake=self.gan_loss(
                self.discriminator(fake, *drawn), False, is_disc=True
            ),
            loss_disc_real=self.gan_loss(
                self.discriminator(real, *labels), True, is_disc=True
            ),
        )
        penalty: Any
        for penalty in self.penalties:
            if penalty.is_due(update):
                losses['loss_penalty'] = penalty(
                    self.discriminator, (real, *labels), (fake,)
                )
        logs: dict[str, Tensor]
        loss, logs = self.parse_losses(losses)
        wrapper.update_params(loss)
        return logs

    def _latents(self, like: Tensor) -> tuple[Tensor, list[Tensor]]:
        num, device = len(like), like.device
        noise = torch.randn(num, self.noise_size, device=device)
        if self.num_classes is None:
            return noise, []
        return noise, [torch.randint(self.num_classes, (num,), device=device)]


def train(variant: Variant, turns: Turns, work_dir: str) -> None:
    """Train without mmamp's loop, wrappers, hooks and data.

    Args:
        variant (Variant): What to train; MMEngine has mixed precision for
            accelerators alone.
        turns (Turns): When.
        work_dir (str): Where logs go.
    """
    settings = common(variant, work_dir)
    cfg = settings.pop('model')
    model = MODELS.build(cfg) if variant.model == EMPTY else StockGAN(cfg)
    model.to(get_device())
    wrappers = {
        name: _wrapper(getattr(model, name), variant.dtype)
        for name in ('generator', 'discriminator')
    }
    # In MMEngine's own scope, where the name of a hook means MMEngine's.
    runner = Runner(model=model, optim_wrapper=wrappers, **settings)
    run(runner, variant, turns)


def _wrapper(network: nn.Module, dtype: str) -> OptimWrapper:
    kwargs = {k: v for k, v in OPTIMIZER.items() if k != 'type'}
    optimizer = torch.optim.Adam(network.parameters(), **kwargs)
    if dtype == 'float32':
        return OptimWrapper(optimizer)
    return AmpOptimWrapper(dtype=dtype, optimizer=optimizer)
