"""The page's rules leave in a low precision what StyleGAN2-ADA has so."""

import re

import pytest
import torch
from doc_blocks import blocks, pages
from torch import nn

from mmamp.models.archs import StyleGAN2Discriminator, StyleGAN2Generator


@pytest.mark.parametrize('language', ['en', 'zh_cn'])
def test_the_four_largest_resolutions_are_left(language):
    *_, block = (
        x
        for x in blocks(pages(language)['weights.md'])
        if x.language == 'python'
    )
    names: dict = {}
    exec(block.text, names)
    (hook,) = names['custom_hooks']
    patterns = [rule['pattern'] for rule in hook['rules']]
    with torch.device('meta'):
        model = nn.ModuleDict(
            dict(
                generator=StyleGAN2Generator(256, channel_base=16384),
                discriminator=StyleGAN2Discriminator(256, channel_base=16384),
            )
        )
    modules = dict(model.named_modules())
    for pattern in patterns:
        assert any(re.fullmatch(pattern, name) for name in modules), pattern
    left = {
        name
        for name in modules
        if re.fullmatch(r'\w+\.(\w+|blocks\.\d)', name)
        and not any(re.fullmatch(x, name) for x in patterns)
    }
    assert left == {
        *(f'generator.blocks.{i}' for i in range(3, 7)),
        *('generator.blocks', 'generator.upsample'),
        *(f'discriminator.blocks.{i}' for i in range(4)),
        *('discriminator.blocks', 'discriminator.from_rgb'),
    }
