"""``use_ddp_wrapper`` and ``find_unused_parameters``."""

GAN = """
optimizer = dict(a=dict(type='SGD', lr=1), b=dict(type='SGD', lr=2))
"""


def test_of_several_optimizers(migrated):
    after = migrated.after(
        f'{GAN}use_ddp_wrapper = True\nfind_unused_parameters = False\n'
    )
    assert after.splitlines()[-5:-1] == [
        'model_wrapper_cfg = dict(',
        "    type='MMSeparateDistributedDataParallel',",
        '    broadcast_buffers=False,',
        '    find_unused_parameters=False)',
    ]


def test_of_one_optimizer(migrated):
    after = migrated.after(
        "optimizer = dict(type='SGD', lr=1)\nfind_unused_parameters = True\n"
    )
    assert "type='MMDistributedDataParallel'" in after
    assert 'find_unused_parameters=True)' in after


def test_of_a_part(check):
    check(
        'find_unused_parameters = True\n',
        'model_wrapper_cfg = dict(find_unused_parameters=True)\n',
    )


def test_of_a_dynamic_model(migrated):
    after = migrated.after(
        """
        use_ddp_wrapper = False
        find_unused_parameters = False
        runner = dict(type='DynamicIterBasedRunner', is_dynamic_ddp=True)
        """
    )
    assert "type='MMSeparateDistributedDataParallel'" in after
    assert 'find_unused_parameters=True)' in after
    assert 'runner' not in after
