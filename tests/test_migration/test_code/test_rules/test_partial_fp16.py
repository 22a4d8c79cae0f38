import re

from mmamp.migration.code.rules import partial_fp16 as rule


def test_calls_are_marked_and_have_rules(convert):
    done = convert(
        rule,
        """
        # a generator
        generator = dict(
            type='StyleGANv2Generator', out_size=64, num_fp16_scales=3)
        discriminator = StyleGAN2Discriminator(64, num_fp16_scales=3)
        """,
    )
    assert [line for line, _ in done.todo] == [2, 4]
    generator, discriminator = (
        re.compile(eval(x)['pattern']) for x in done.rules
    )
    # 64 pixels: resolutions 8, 16, 32, 64, of which the last three are half.
    low = ['conv1', 'to_rgb1', 'convs.0', 'convs.1', 'to_rgbs.0']
    high = ['convs.2', 'convs.7', 'to_rgbs.1', 'to_rgbs.3']
    assert all(generator.fullmatch(f'generator.{x}') for x in low)
    assert not any(generator.fullmatch(f'generator.{x}') for x in high)
    assert discriminator.fullmatch('discriminator.convs.4')
    assert discriminator.fullmatch('discriminator.final_linear')
    assert not discriminator.fullmatch('discriminator.convs.3')


def test_a_size_that_is_not_known_has_no_rule(convert):
    done = convert(rule, 'net = StyleGANv2Generator(n, num_fp16_scales=4)\n')
    assert len(done.todo) == 1
    assert done.rules == []


def test_definitions_are_marked(convert):
    done = convert(
        rule,
        """
        class Layer(nn.Module):
            def __init__(self, x, fp16_enabled=False):
                self.fp16_enabled = fp16_enabled
        """,
    )
    assert [line for line, _ in done.todo] == [2]


def test_none_of_it_stays(stays):
    stays(rule, 'net = StyleGANv2Generator(64, num_fp16_scales=0)\n')
