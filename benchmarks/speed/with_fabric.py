"""A loop of Lightning Fabric's, where that is installed."""

from typing import Any

import torch

from mmamp.registry import MODELS

from .handwritten import batches, latents
from .models import MODELS_BY_NAME, OPTIMIZER
from .turns import Turns
from .variants import Variant

PRECISIONS = dict(float32='32-true', bfloat16='bf16-mixed', float16='16-mixed')
"""Fabric's names of the precisions."""


def train(variant: Variant, turns: Turns, work_dir: str) -> None:
    """Train as the loop by hand does, with Fabric's precision and scaler.

    Args:
        variant (Variant): What to train; on a CPU not in float16, for which
            Fabric has no scaler there.
        turns (Turns): When.
        work_dir (str): Not needed.
    """
    # Not here where it is not installed.
    from lightning.fabric import Fabric

    fabric = Fabric(devices=1, precision=PRECISIONS[variant.dtype])
    layout = getattr(torch, variant.memory_format)
    model = MODELS_BY_NAME[variant.model]
    torch.backends.cudnn.benchmark = True

    cfg = model.config(variant.memory_format)
    gan_loss = MODELS.build(cfg['gan_loss'])
    penalties = [MODELS.build(x) for x in cfg['disc_regularizers']]
    kwargs = {k: v for k, v in OPTIMIZER.items() if k != 'type'}
    pairs: list[Any] = []
    for name in ('generator', 'discriminator'):
        net = MODELS.build(cfg[name])
        net.init_weights()
        net.to(fabric.device, memory_format=layout).train()
        optimizer = torch.optim.Adam(net.parameters(), **kwargs)
        pairs.append(fabric.setup(net, optimizer))
    (gen, gen_optimizer), (disc, disc_optimizer) = pairs

    if not turns.begin():
        return
    for update, batch in enumerate(batches(model)):
        images = batch['inputs'].to(fabric.device, non_blocking=True)
        real = images.to(torch.float32, memory_format=layout)
        real = (real - 127.5) / 127.5
        labels = (
            []
            if model.num_classes is None
            else [batch['data_samples']['gt_label'].to(fabric.device)]
        )

        # The discriminator learns.
        with torch.no_grad():
            noise, drawn = latents(model, fabric.device)
            fake = gen(noise, *drawn)
        loss = gan_loss(disc(fake, *drawn), False, is_disc=True)
        loss = loss + gan_loss(disc(real, *labels), True, is_disc=True)
        for penalty in penalties:
            if penalty.is_due(update):
                loss = loss + penalty(disc, (real, *labels), (fake,))
        fabric.backward(loss)
        disc_optimizer.step()
        disc_optimizer.zero_grad()

        # The generator learns.
        disc.requires_grad_(False)
        noise, drawn = latents(model, fabric.device)
        loss = gan_loss(disc(gen(noise, *drawn), *drawn), True)
        fabric.backward(loss)
        gen_optimizer.step()
        gen_optimizer.zero_grad()
        disc.requires_grad_(True)

        if not turns.done():
            return
