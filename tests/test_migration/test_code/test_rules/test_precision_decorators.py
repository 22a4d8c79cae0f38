import pytest

from mmamp.migration.code.rules import precision_decorators as rule


@pytest.mark.parametrize(
    'source',
    [
        'mmcv.runner',
        'mmcv.runner.fp16_utils',
        'mmgen.core.runners.fp16_utils',
        'mmedit.core',
        '...core.runners.fp16_utils',
    ],
)
def test_decorators_go_with_their_import(becomes, source):
    done = becomes(
        rule,
        f"""
        import torch
        from {source} import auto_fp16, load_checkpoint

        class Net(nn.Module):
            # what it does
            @auto_fp16(apply_to=('x', ))  # half
            def forward(self, x):
                return x
        """,
        f"""
        import torch
        from {source} import load_checkpoint

        class Net(nn.Module):
            # what it does
            # half
            def forward(self, x):
                return x
        """,
    )
    assert done.rules == []
    assert [x.line for x in done.findings] == [7]


def test_others_stay_around_them(becomes):
    becomes(
        rule,
        """
        import torch
        from mmcv.runner import force_fp32

        class Head(nn.Module):
            @first
            # about the second
            @force_fp32()
            @third
            def loss(self, x):
                return x
        """,
        """
        import torch

        class Head(nn.Module):
            @first
            @third
            # about the second
            def loss(self, x):
                return x
        """,
    )


def test_float32_of_a_module_is_a_rule(convert):
    done = convert(
        rule,
        """
        import mmcv

        class Head(nn.Module):
            @mmcv.runner.force_fp32(apply_to=('x', 'y'))
            def forward(self, x, y, z):
                return x

        class Up(nn.Module):
            @mmcv.runner.auto_fp16(out_fp32=True)
            def forward(self, x):
                return x
        """,
    )
    assert done.rules == [
        "dict(pattern=r'<name of Head in the model>', dtype='float32')",
        "dict(pattern=r'<name of Up in the model>', dtype=None, "
        "output_dtype='float32')",
    ]
    (_, head), (_, up) = done.warned
    assert 'model.named_modules()' in head
    assert 'not only x, y' in head
    assert 'not only' not in up


def test_the_rules_are_rules_of_the_hook(convert):
    from mmamp.engine.hooks.precision_hook import PrecisionHook

    done = convert(
        rule,
        """
        class Head(nn.Module):
            @force_fp32(out_fp16=True)
            def forward(self, x):
                return x
        """,
    )
    hook = PrecisionHook([eval(x) for x in done.rules])
    assert hook.rules[0].output_dtype is not None


def test_float32_of_another_method_is_said_in_words(convert):
    done = convert(
        rule,
        """
        class Head(nn.Module):
            @force_fp32(apply_to=('score', ))
            def loss(self, score):
                return score
        """,
    )
    assert done.rules == []
    ((line, reason),) = done.warned
    assert line == 3
    assert 'Head.loss' in reason
    assert 'score.float()' in reason


def test_flags_go_where_nothing_reads_them(becomes):
    becomes(
        rule,
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                # support fp16
                self.fp16_enabled = False
        """,
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                # support fp16
        """,
    )


def test_flags_that_are_read_stay(stays):
    stays(
        rule,
        """
        class Net(nn.Module):
            def __init__(self):
                self.fp16_enabled = False

            def forward(self, x):
                return x.half() if self.fp16_enabled else x
        """,
    )


def test_wrapping_goes(becomes):
    becomes(
        rule,
        """
        import torch
        from mmcv.runner import wrap_fp16_model

        if cfg.get('fp16'):
            wrap_fp16_model(model)
        """,
        """
        import torch

        if cfg.get('fp16'):
            pass
        """,
    )


def test_what_is_wrapped_otherwise_is_marked(convert):
    done = convert(rule, 'x = wrap_fp16_model(model)\n')
    assert done.text.startswith('# TODO(mmamp migrate): ')
    assert len(done.todo) == 1


def test_the_file_that_defines_them_stays(stays):
    stays(
        rule,
        """
        def auto_fp16(apply_to=None):
            return apply_to

        @auto_fp16()
        def f(x):
            return x
        """,
    )
