import mmengine

from mmamp.migration.code.rules import mmcv_attributes as rule


def test_mmengine_has_them_all():
    assert rule.TOP
    assert [x for x in sorted(rule.TOP) if not hasattr(mmengine, x)] == []


def test_mmengine_takes_the_place_of_mmcv(becomes):
    becomes(
        rule,
        """
        import math

        # files
        import mmcv
        x = mmcv.load(y)  # yes
        assert mmcv.is_str(x)
        """,
        """
        import math

        # files
        import mmengine
        x = mmengine.load(y)  # yes
        assert mmengine.is_str(x)
        """,
    )


def test_mmcv_stays_where_it_is_needed(becomes):
    becomes(
        rule,
        'import mmcv\nmmcv.mkdir_or_exist(x)\nmmcv.imwrite(y, x)\n',
        'import mmcv\nimport mmengine\n'
        'mmengine.mkdir_or_exist(x)\nmmcv.imwrite(y, x)\n',
    )


def test_others_stay(stays):
    stays(rule, 'import mmcv\nmmcv.imread(x)\n')
    stays(rule, 'mmcv = f()\nmmcv.load(x)\n')
    stays(rule, 'self.mmcv.load(x)\n')
