"""BasicSR: networks of ESRGAN and SRGAN, a file each.

``params`` and ``params_ema`` hold a generator and its average.
"""

from mmamp.models.archs import MSRResNet, RRDBNet, SRGANDiscriminator
from mmamp.weights.arguments import always, count_of, size_of
from mmamp.weights.format import ZERO_TO_ONE, Format
from mmamp.weights.layouts import join_params
from mmamp.weights.rules import Rule, Table


def rrdb(network: RRDBNet) -> Table:
    """Return the rules of RRDBNet."""
    last = len(network.blocks) - 1
    return Table(
        (
            Rule('conv_first.weight', 'first.conv.weight', colours=1),
            Rule('conv_first.bias', 'first.conv.bias'),
            Rule(
                'body.{i}.rdb{j+1}.conv{k+1}.{leaf}',
                'blocks.{i}.blocks.{j}.layers.{k}.conv.{leaf}',
            ),
            Rule('conv_body.{leaf}', f'blocks.{last}.conv.{{leaf}}'),
            Rule('conv_up{i+1}.{leaf}', 'upsample.{i}.conv.{leaf}'),
            Rule('conv_hr.{leaf}', 'last.0.conv.{leaf}'),
            Rule('conv_last.{leaf}', 'last.1.conv.{leaf}', colours=0),
        ),
        dict(
            in_channels=size_of('conv_first.weight', 1),
            out_channels=size_of('conv_last.weight', 0),
            base_channels=size_of('conv_first.weight', 0),
            num_blocks=count_of('body.{i}.rdb1.conv1.weight'),
            growth_channels=size_of('body.0.rdb1.conv1.weight', 0),
        ),
    )


def msrresnet(network: MSRResNet) -> Table:
    """Return the rules of MSRResNet, whose names are theirs."""
    return msrresnet_of('body', 'upconv{i+1}', acts=True)


def msrresnet_of(trunk: str, upsample: str, acts: bool) -> Table:
    """Return the rules of MSRResNet as somebody calls its parts.

    Args:
        trunk (str): The residual blocks.
        upsample (str): The convolutions that enlarge, by ``i``.
        acts (bool): Whether there are activations between these.
    """
    return Table(
        (
            Rule('conv_first.weight', 'first.weight', colours=1),
            Rule('conv_first.bias', 'first.bias'),
            Rule(
                f'{trunk}.{{i}}.conv{{k+1}}.{{leaf}}',
                'blocks.{i}.layers.{k}.{leaf}',
            ),
            Rule(f'{upsample}.{{leaf}}', 'upsample.{i}.{leaf}'),
            Rule('conv_hr.{leaf}', 'hr.{leaf}'),
            Rule('conv_last.{leaf}', 'last.{leaf}', colours=0),
        ),
        dict(
            in_channels=size_of('conv_first.weight', 1),
            out_channels=size_of('conv_last.weight', 0),
            base_channels=size_of('conv_first.weight', 0),
            num_blocks=count_of(f'{trunk}.{{i}}.conv1.weight'),
            upsample_act=always(acts),
        ),
    )


def discriminator(network: SRGANDiscriminator) -> Table:
    """Return the rules of the VGG-like discriminator."""
    # Theirs are called by stage and place, ours by place alone.
    return Table(
        (
            Rule('conv0_0.weight', 'layers.0.conv.weight', colours=1),
            Rule('conv0_0.bias', 'layers.0.conv.bias'),
            Rule('conv{i}_0.weight', 'layers.{2i}.conv.weight'),
            Rule('conv{i}_1.weight', 'layers.{2i+1}.conv.weight'),
            Rule('bn{i}_0.{leaf}', 'layers.{2i}.bn.{leaf}'),
            Rule('bn{i}_1.{leaf}', 'layers.{2i+1}.bn.{leaf}'),
            Rule('linear1.{leaf}', 'head.1.{leaf}'),
            Rule('linear2.{leaf}', 'head.3.{leaf}'),
        ),
        dict(
            in_channels=size_of('conv0_0.weight', 1),
            base_channels=size_of('conv0_0.weight', 0),
            num_stages=count_of('conv{i}_1.weight'),
            down_kernel=size_of('conv0_1.weight', 3),
            hidden_channels=size_of('linear1.weight', 0),
        ),
    )


BASICSR = Format(
    'basicsr',
    join_params,
    {
        RRDBNet: rrdb,
        MSRResNet: msrresnet,
        SRGANDiscriminator: discriminator,
    },
    ZERO_TO_ONE,
)
