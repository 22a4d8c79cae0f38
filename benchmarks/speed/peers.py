"""GANs on top of other packages, in the loops that these document.

That of Lightning Fabric is its example of a DCGAN (``examples/fabric/dcgan``
of its repository), that of Hugging Face Accelerate the DCGAN of the HugGAN
sprint (``huggan/pytorch/dcgan`` of ``huggingface/community-events``). Both go
back to PyTorch's tutorial, and their iterations are the same: real and fake
images have a backward pass each, the generator learns from the fakes that the
discriminator has seen, and five numbers are read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from .models import MODELS_BY_NAME
from .parts import Parts, latents, loader_of, normalized
from .turns import Turns
from .variants import ACCELERATE, FABRIC, Variant

PACKAGES = {FABRIC: 'lightning-fabric', ACCELERATE: 'accelerate'}
"""What they are called where they are installed from."""

INSTALL = "pip install -e '.[peers]'"
"""Installs all of them."""

PRINTED = 50
"""Iterations from one printed line to the next."""


def module_of(peer: str) -> str:
    """Return what a peer is imported as.

    Args:
        peer (str): Its name.
    """
    return PACKAGES[peer].replace('-', '_')


def installed() -> dict[str, str]:
    """Return the versions of the peers that are installed, by name."""
    return {
        peer: version(package)
        for peer, package in PACKAGES.items()
        if find_spec(module_of(peer))
    }


@dataclass(frozen=True)
class _Prepared:
    """What a peer makes of the parts."""

    device: torch.device
    generator: Any
    discriminator: Any
    gen_optimizer: Any
    disc_optimizer: Any
    loader: Any
    backward: Callable[[Tensor], None]
    # The penalty, with real and generated images and their labels.
    penalize: Callable[[Any, Any, Any], Tensor]


def _with_fabric(dtype: str, parts: Parts, loader: Any) -> _Prepared:
    from lightning_fabric import Fabric

    precisions = dict(
        float32='32-true', bfloat16='bf16-mixed', float16='16-mixed'
    )
    fabric = Fabric(accelerator='auto', devices=1, precision=precisions[dtype])
    fabric.launch()
    gen, disc = parts.generator, parts.discriminator
    gen_optimizer, disc_optimizer = map(parts.optimizer, (gen, disc))
    disc, disc_optimizer = fabric.setup(disc, disc_optimizer)
    gen, gen_optimizer = fabric.setup(gen, gen_optimizer)

    def penalize(penalty: Any, real: Any, fake: Any) -> Tensor:
        # In mixed precision outputs of a network that was set up refuse any
        # backward pass but `fabric.backward`, and so a gradient of theirs.
        with fabric.autocast():
            loss: Tensor = penalty(disc.module, real, fake)
        return loss

    return _Prepared(
        *(fabric.device, gen, disc, gen_optimizer, disc_optimizer),
        fabric.setup_dataloaders(loader),
        fabric.backward,
        penalize,
    )


def _with_accelerate(dtype: str, parts: Parts, loader: Any) -> _Prepared:
    from accelerate import Accelerator

    precisions = dict(float32='no', bfloat16='bf16', float16='fp16')
    accelerator = Accelerator(mixed_precision=precisions[dtype])
    gen, disc = parts.generator, parts.discriminator
    gen, disc, gen_optimizer, disc_optimizer, loader = accelerator.prepare(
        gen, disc, *map(parts.optimizer, (gen, disc)), loader
    )

    def penalize(penalty: Any, real: Any, fake: Any) -> Tensor:
        loss: Tensor = penalty(disc, real, fake)
        return loss

    return _Prepared(
        *(accelerator.device, gen, disc, gen_optimizer, disc_optimizer),
        loader,
        accelerator.backward,
        penalize,
    )


_PREPARE = {FABRIC: _with_fabric, ACCELERATE: _with_accelerate}


def train(variant: Variant, turns: Turns, work_dir: str) -> None:
    """Train on top of a peer.

    Args:
        variant (Variant): What to train.
        turns (Turns): When.
        work_dir (str): Not needed: pictures of samples are left out.
    """
    model = MODELS_BY_NAME[variant.model]
    layout = getattr(torch, variant.memory_format)
    torch.backends.cudnn.benchmark = True
    parts = Parts(variant)
    gan_loss = parts.gan_loss
    its = _PREPARE[variant.way](variant.dtype, parts, loader_of(model))
    gen, disc = its.generator, its.discriminator
    gen_losses: list[float] = []
    disc_losses: list[float] = []

    if not turns.begin():
        return
    while True:
        for batch in its.loader:
            update = len(gen_losses)
            real = normalized(batch['inputs'], layout)
            labels = (
                []
                if model.num_classes is None
                else [batch['data_samples']['gt_label']]
            )

            # The discriminator learns: from real images, then from fakes.
            disc.zero_grad()
            pred = disc(real, *labels)
            loss_real = gan_loss(pred, True, is_disc=True)
            noise, drawn = latents(model, its.device)
            fake = gen(noise, *drawn)
            for penalty in parts.penalties:
                if penalty.is_due(update):
                    loss_real = loss_real + its.penalize(
                        penalty, (real, *labels), (fake.detach(), *drawn)
                    )
            its.backward(loss_real)
            mean_real = pred.mean().item()
            pred = disc(fake.detach(), *drawn)
            loss_fake = gan_loss(pred, False, is_disc=True)
            its.backward(loss_fake)
            mean_fake = pred.mean().item()
            loss_disc = loss_real + loss_fake
            its.disc_optimizer.step()

            # The generator learns from the same fakes.
            gen.zero_grad()
            pred = disc(fake, *drawn)
            loss_gen = gan_loss(pred, True)
            its.backward(loss_gen)
            mean_now = pred.mean().item()
            its.gen_optimizer.step()

            gen_losses.append(loss_gen.item())
            disc_losses.append(loss_disc.item())
            if update % PRINTED == 0:
                print(
                    f'{update}: {disc_losses[-1]:.4f} {gen_losses[-1]:.4f} '
                    f'{mean_real:.4f} {mean_fake:.4f} {mean_now:.4f}'
                )
            if not turns.done():
                return
