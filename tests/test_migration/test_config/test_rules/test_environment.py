"""``env_cfg``, ``randomness`` and where a run goes on."""

import pytest


def test_a_default_runtime(check):
    check(
        """
        log_level = 'INFO'
        # The backend of the ranks.
        dist_params = dict(backend='nccl')
        cudnn_benchmark = True
        opencv_num_threads = 0
        mp_start_method = 'fork'
        load_from = None
        resume_from = None
        workflow = [('train', 1)]
        """,
        """
        log_level = 'INFO'
        # The backend of the ranks.
        env_cfg = dict(
            cudnn_benchmark=True,
            mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
            dist_cfg=dict(backend='nccl'))
        load_from = None
        resume = False
        """,
    )


def test_a_child_says_what_differs(check):
    check(
        """
        _base_ = './base.py'
        cudnn_benchmark = False
        resume_from = None
        """,
        """
        _base_ = './base.py'
        env_cfg = dict(cudnn_benchmark=False)
        """,
        base="""
        cudnn_benchmark = True
        dist_params = dict(backend='nccl')
        resume_from = None
        """,
    )


def test_resumes_from_where_it_was(check):
    check(
        """
        name = 'mine'
        load_from = None
        resume_from = f'work_dirs/{name}/latest.pth'
        """,
        """
        name = 'mine'
        load_from = f'work_dirs/{name}/latest.pth'
        resume = True
        """,
    )


def test_resumes_by_itself(check):
    check('auto_resume = True\n', 'resume = True\n')


def test_seeds(check):
    check(
        """
        seed = 5
        deterministic = True
        gpu_ids = [0]
        device = 'cuda'
        """,
        """
        randomness = dict(seed=5, deterministic=True)
        """,
    )


def test_a_loss_of_validation_data_is_missed(migrated):
    after = migrated.after("workflow = [('train', 1), ('val', 1)]\nx = 1\n")
    assert after == 'x = 1\n'
    assert 'losses of validation' in migrated.said('warned')[0]


@pytest.mark.parametrize(
    'text',
    [
        'env_cfg = dict(cudnn_benchmark=True)\ncudnn_benchmark = True\n',
        'seed = 3\nrandomness = dict(seed=seed)\n',
        "load_from = 'x.pth'\nresume = True\n",
    ],
)
def test_a_config_of_1x_stays(migrated, text):
    assert migrated.after(text) == text
    assert not migrated.result.findings


def test_a_base_of_a_model_has_no_env_cfg(migrated):
    before = 'model = dict()\ncudnn_benchmark = True\n'
    assert migrated.after(before) == before
    assert 'inherit' in migrated.said('outside')[0]


def test_a_child_takes_the_setting_of_a_model(check):
    check(
        """
        _base_ = ['./base.py', './runtime.py']
        work_dir = 'x'
        """,
        """
        _base_ = ['./base.py', './runtime.py']
        env_cfg = dict(cudnn_benchmark=True)
        work_dir = 'x'
        """,
        base='cudnn_benchmark = True\n',
        runtime="dist_params = dict(backend='nccl')\n",
    )


def test_what_is_set_twice_stays(migrated):
    before = 'seed = 1\nseed = 2\n'
    after = migrated.after(before)
    assert 'randomness' not in after
    assert 'more than one place' in migrated.said('todo')[0]
