"""BigGAN."""

from typing import Any

from torch import Tensor

from .case import (
    Case,
    Network,
    class_of,
    from_mmagic,
    from_mmgen,
    images_of,
    labelled,
    noise_of,
)


def _of_shared(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    """Call BigGAN-PyTorch's G, which is given embedded labels."""
    noise, labels = inputs
    result: Tensor = network(noise, network.shared(labels))
    return result


def biggan() -> list[Case]:
    """Return BigGAN's networks."""
    cases = []
    for size, image, width, classes, is_large in (
        ('small', 64, 4, 10, False),
        ('published', 128, 96, 1000, True),
    ):
        chunks = 5 if image == 64 else 6
        latent, shared = 20 * chunks, 128 if is_large else 16
        attention = 64 if is_large else 32
        ours: dict[str, Any] = dict(
            type='ImageGAN',
            noise_size=latent,
            num_classes=classes,
            generator=dict(
                type='BigGANGenerator',
                image_size=image,
                num_classes=classes,
                base_channels=width,
                noise_size=latent,
                embedding_size=shared,
                attention_size=attention,
            ),
            discriminator=dict(
                type='BigGANDiscriminator',
                image_size=image,
                num_classes=classes,
                base_channels=2 * width if not is_large else width,
                attention_size=attention,
            ),
            ema_config=dict(momentum=0.01),
        )
        width_d = ours['discriminator']['base_channels']
        latents = labelled(noise_of(2, latent), classes)
        pictures = labelled(images_of(2, 3, image, image), classes)
        cases.append(
            Case(
                f'BigGAN, {size}',
                'BigGAN-PyTorch',
                'biggan-pytorch',
                ours,
                dict(
                    generator=Network(
                        class_of(
                            'BigGAN',
                            'Generator',
                            G_ch=width,
                            dim_z=latent,
                            resolution=image,
                            G_attn=str(attention),
                            n_classes=classes,
                            G_shared=True,
                            shared_dim=shared,
                            hier=True,
                            SN_eps=1e-6,
                            no_optim=True,
                        ),
                        latents,
                        _of_shared,
                    ),
                    discriminator=Network(
                        class_of(
                            'BigGAN',
                            'Discriminator',
                            D_ch=width_d,
                            resolution=image,
                            D_attn=str(attention),
                            n_classes=classes,
                            SN_eps=1e-6,
                        ),
                        pictures,
                    ),
                ),
                is_large,
            )
        )
        for repository, find, style in (
            ('mmagic', from_mmagic, 'ajbrock'),
            ('mmagic', from_mmagic, 'torch'),
            ('mmgeneration', from_mmgen, 'ajbrock'),
        ):
            if is_large and (repository, style) != ('mmagic', 'ajbrock'):
                continue
            # As MMagic trains, and as not.
            in_place = is_large or style == 'torch'
            small: dict[str, Any] = {}
            if not is_large:
                small = _attention_at(image, attention, width, width_d)
            cases.append(
                Case(
                    f'BigGAN ({style}), {size}',
                    repository,
                    'mmagic-biggan' + ('-torch' if style == 'torch' else ''),
                    dict(
                        ours,
                        discriminator={
                            **ours['discriminator'],
                            'shortcut_act': in_place,
                        },
                    ),
                    dict(
                        generator=Network(
                            find(
                                'biggan',
                                'BigGANGenerator',
                                output_scale=image,
                                noise_size=latent,
                                num_classes=classes,
                                base_channels=width,
                                shared_dim=shared,
                                sn_style=style,
                                arch_cfg=small.get('generator'),
                            ),
                            latents,
                        ),
                        discriminator=Network(
                            find(
                                'biggan',
                                'BigGANDiscriminator',
                                input_scale=image,
                                num_classes=classes,
                                base_channels=width_d,
                                sn_style=style,
                                act_cfg=dict(type='ReLU', inplace=in_place),
                                arch_cfg=small.get('discriminator'),
                            ),
                            pictures,
                        ),
                    ),
                    is_large,
                    fixed_norms=style == 'ajbrock',
                )
            )
    return cases


def _attention_at(
    image: int, attention: int, width: int, width_d: int
) -> dict[str, Any]:
    """Describe 64x64 with attention where theirs has none by default."""
    up = [16, 16, 8, 4, 2]
    down = [1, 2, 4, 8, 16]
    sizes = [8, 16, 32, 64]
    sizes_d = [32, 16, 8, 4, 4]
    return dict(
        generator=dict(
            in_channels=[width * x for x in up[:-1]],
            out_channels=[width * x for x in up[1:]],
            upsample=[True] * 4,
            resolution=sizes,
            attention=[x == attention for x in sizes],
        ),
        discriminator=dict(
            in_channels=[3, *(width_d * x for x in down[:-1])],
            out_channels=[width_d * x for x in down],
            downsample=[True] * 4 + [False],
            resolution=sizes_d,
            attention=[x == attention for x in sizes_d],
        ),
    )
