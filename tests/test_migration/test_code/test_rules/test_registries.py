from mmamp.migration.code.rules import registries as rule


def test_registries_are_one(becomes):
    becomes(
        rule,
        """
        import torch
        from ..builder import build_backbone, build_loss
        # where it is registered
        from ..registry import BACKBONES, LOSSES

        @BACKBONES.register_module('Other')
        class Net(nn.Module):
            def __init__(self, head, loss=None):
                self.head = build_backbone(head)
                self.loss = build_loss(loss) if loss else None
                self.LOSSES = LOSSES
        """,
        """
        import torch
        from mmamp.registry import MODELS
        # where it is registered
        from mmamp.registry import MODELS

        @MODELS.register_module('Other')
        class Net(nn.Module):
            def __init__(self, head, loss=None):
                self.head = MODELS.build(head)
                self.loss = MODELS.build(loss) if loss else None
                self.LOSSES = MODELS
        """,
    )


def test_other_names_stay_where_they_are(becomes):
    done = becomes(
        rule,
        """
        from mmgen.models.builder import MODULES, build_module, build_other
        x = build_module(cfg, dict(a=1))
        y = build_other(cfg)
        MODULES.get('x')
        """,
        """
        from mmamp.registry import MODELS
        from mmgen.models.builder import build_other
        x = MODELS.build(cfg, default_args=dict(a=1))
        y = build_other(cfg)
        MODELS.get('x')
        """,
    )
    ((line, reason),) = done.warned
    assert line == 2
    assert 'Sequential' in reason


def test_a_model_gets_its_settings(becomes):
    becomes(
        rule,
        """
        from mmedit.models import build_model
        model = build_model(cfg.model, train_cfg=None, test_cfg=cfg.test)
        """,
        """
        from mmamp.registry import MODELS
        model = MODELS.build(cfg.model, """
        """default_args=dict(train_cfg=None, test_cfg=cfg.test))
        """,
    )


def test_pipelines_are_transforms(becomes):
    becomes(
        rule,
        'from ..registry import PIPELINES\nPIPELINES.get(1)\n',
        'from mmamp.registry import TRANSFORMS\nTRANSFORMS.get(1)\n',
    )


def test_what_is_exported_or_bound_stays(stays):
    for text in (
        "from .builder import MODELS, build\n__all__ = ['MODELS', 'build']\n",
        'from ..builder import LOSSES\nMODELS = 1\nLOSSES.get(1)\n',
        'from ..builder import build_loss\nf(build_loss)\n',
        'from mmdet.registry import MODELS\nMODELS.build(cfg)\n',
        'from mmengine.registry import MODELS\nMODELS.build(cfg)\n',
    ):
        stays(rule, text)
