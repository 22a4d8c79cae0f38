"""A loop as one writes it by hand, with ``torch.amp``."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.device import get_device
from torch import Tensor

from .models import MODELS_BY_NAME, Benchmarked
from .parts import Parts, latents, loader_of, normalized
from .turns import Turns
from .variants import Variant


def train(variant: Variant, turns: Turns, work_dir: str) -> None:
    """Train by hand: one discriminator step, one generator step, and so on.

    Args:
        variant (Variant): What to train.
        turns (Turns): When.
        work_dir (str): Not needed.
    """
    device = torch.device(get_device())
    dtype = getattr(torch, variant.dtype)
    layout = getattr(torch, variant.memory_format)
    model = MODELS_BY_NAME[variant.model]
    torch.backends.cudnn.benchmark = True

    # Two networks, each with its optimizer and loss scale.
    parts = Parts(variant)
    gan_loss, gen, disc = parts.gan_loss, parts.generator, parts.discriminator
    for net in (gen, disc):
        net.to(device)
    gen_optimizer, disc_optimizer = (parts.optimizer(x) for x in (gen, disc))
    gen_scaler, disc_scaler = (
        torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
        for _ in range(2)
    )
    autocast = torch.autocast(
        device.type, dtype=dtype, enabled=dtype is not torch.float32
    )

    def penalty_grad(outputs: Tensor, inputs: Tensor, **kw: Any) -> Any:
        # True gradients, as torch's AMP recipe has it.
        grads = torch.autograd.grad(disc_scaler.scale(outputs), inputs, **kw)
        scale = disc_scaler.get_scale()
        return tuple(g.float() / scale for g in grads)

    if not turns.begin():
        return
    for update, batch in enumerate(_batches(model)):
        images = batch['inputs'].to(device, non_blocking=True)
        real = normalized(images, layout)
        labels = (
            []
            if model.num_classes is None
            else [batch['data_samples']['gt_label'].to(device)]
        )

        # The discriminator learns.
        with autocast:
            with torch.no_grad():
                noise, drawn = latents(model, device)
                fake = gen(noise, *drawn)
            loss = gan_loss(disc(fake, *drawn), False, is_disc=True)
            loss = loss + gan_loss(disc(real, *labels), True, is_disc=True)
            for penalty in parts.penalties:
                if penalty.is_due(update):
                    loss = loss + penalty(
                        disc, (real, *labels), (fake,), grad=penalty_grad
                    )
        _step(loss, disc_optimizer, disc_scaler)

        # The generator learns.
        disc.requires_grad_(False)
        with autocast:
            noise, drawn = latents(model, device)
            loss = gan_loss(disc(gen(noise, *drawn), *drawn), True)
        _step(loss, gen_optimizer, gen_scaler)
        disc.requires_grad_(True)

        if not turns.done():
            return


def _batches(model: Benchmarked) -> Iterator[dict[str, Any]]:
    """Yield batches of an endless, shuffled loader."""
    loader = loader_of(model)
    while True:
        yield from loader


def _step(
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
) -> None:
    """Run the backward pass and the optimizer's step."""
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
