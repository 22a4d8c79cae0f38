"""Residual blocks and attention, as MMagic and MMGeneration call them."""

from mmamp.weights.rules import OF_SCALAR, Leaves, Rule


def residual_rules(conv: str, here: str, norm: Leaves) -> tuple[Rule, ...]:
    """Return the rules of what SAGAN's and BigGAN's networks have.

    Args:
        conv (str): What theirs call a convolution, by ``j``.
        here (str): What ours call a block, by ``block``.
        norm (Leaves): Of their spectral norm.
    """
    there, attention = 'conv_blocks.{block}', 'conv_blocks.{attention}'
    return (
        Rule(f'{there}.{conv}.conv', f'{here}.conv{{j}}', norm),
        Rule(f'{there}.{conv}.conv.bias', f'{here}.conv{{j}}.bias'),
        Rule(f'{there}.shortcut.conv', f'{here}.shortcut', norm),
        Rule(f'{there}.shortcut.conv.bias', f'{here}.shortcut.bias'),
        *(
            Rule(
                f'{attention}.{theirs}.conv',
                f'attention.{{attention}}.{ours}',
                norm,
            )
            for theirs, ours in (
                *(('theta', 'theta'), ('phi', 'phi'), ('g', 'g')),
                ('o', 'out'),
            )
        ),
        Rule(f'{attention}.gamma', 'attention.{attention}.gamma', OF_SCALAR),
    )
