from mmamp.migration.code.rules import own_registries as rule


def test_those_that_stay_empty_are_marked(convert):
    done = convert(
        rule,
        """
        from mmcv.utils import Registry
        MODELS = Registry('model')
        HEADS = NECKS = MODELS
        NOISES = Registry('noise')
        OTHERS = NOISES
        """,
    )
    (line, reason), (other, _) = done.todo
    assert (line, other) == (2, 3)
    assert reason.startswith('MODELS of the migrated files is mmamp.registry')


def test_those_of_1x_stay(stays):
    stays(
        rule,
        """
        from mmengine.registry import MODELS as MMENGINE_MODELS, Registry
        MODELS = Registry('model', parent=MMENGINE_MODELS)
        """,
    )
