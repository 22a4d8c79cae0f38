"""Whatever comes: it parses, keeps its comments, and stays as it is then."""

import ast
import sysconfig
import tokenize
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmamp.migration.config import UnreadableSource, migrate_config

LIBRARY = sorted(Path(sysconfig.get_paths()['stdlib']).glob('*.py'))
STATEMENTS = [
    "optimizer = dict(type='SGD', lr=1)  # {}",
    "optimizer = dict(\n    # {}\n    a=dict(type='SGD', lr=lr),  # {}\n    b=dict(type='Adam')\n    # {}\n)",
    "optimizers = {{'generator': dict(type='Adam', lr=1)}}  # {}",
    'optimizer_config = dict(grad_clip=dict(max_norm=1))  # {}',
    "optimizer_config = dict(type='Mine',  # {}\n    grad_clip=None)",
    'fp16 = dict(  # {}\n    loss_scale=512.)',
    'runner = dict(max_iters=9,  # {}\n    is_dynamic_ddp=True)',
    'total_iters = 9  # {}',
    "model = dict(type='GAN',  # {}\n    generator=dict(num_fp16_scales=1, out_size=32)  # {}\n)",
    'train_cfg = dict(\n    disc_steps=2,  # {}\n    use_it=True)',
    'test_cfg = None  # {}',
    'test_cfg = dict(  # {}\n    metrics=["PSNR"])',
    'use_ddp_wrapper = True  # {}',
    'find_unused_parameters = False  # {}',
    'custom_hooks = [\n    # {}\n    dict(type="A"),  # {}\n]',
    "lr_config = dict(policy='step', step=[8, 11])  # {}",
    'lr_config = None  # {}',
    'checkpoint_config = dict(interval=1)  # {}',
    "log_config = dict(interval=50,  # {}\n    hooks=[dict(type='TextLoggerHook')])",
    'evaluation = dict(interval=1)  # {}',
    "workflow = [('train', 1)]  # {}",
    "dist_params = dict(backend='nccl')  # {}",
    'resume_from = None  # {}',
    'lr = 0.1  # {}',
    'x = [lr for _ in range(3)]  # {}',
    "optimizer['lr'] = 3  # {}",
    'if True:  # {}\n    lr = 2',
    "model.update(dict(type='B'))  # {}",
]


def comments(text):
    tokens = tokenize.generate_tokens(StringIO(text).readline)
    found = Counter(t.string for t in tokens if t.type == tokenize.COMMENT)
    return found


def holds(path):
    before = path.read_text()
    result = migrate_config(path)
    after = result.after
    ast.parse(after)
    said = [
        x.reason for x in result.findings if 'with its comment' in x.reason
    ]
    for comment in comments(before) - comments(after):
        assert any(comment in x for x in said)
    path.write_text(after)
    assert migrate_config(path).after == after


@st.composite
def configs(draw):
    chosen = draw(
        st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=8)
    )
    number = iter(range(1000))
    lines = []
    for statement in chosen:
        if draw(st.booleans()):
            lines.append(f'\n# above {next(number)}')
        names = [f'comment {next(number)}' for _ in range(3)]
        lines.append(statement.format(*names))
    lines.append(f'# the end {next(number)}')
    return '\n'.join(lines) + '\n'


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(configs())
def test_configs(tmp_path, text):
    path = tmp_path / 'config.py'
    path.write_text(text)
    holds(path)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(LIBRARY))
def test_other_files(tmp_path, source):
    path = tmp_path / 'config.py'
    path.write_bytes(source.read_bytes())
    holds(path)


@pytest.mark.parametrize(
    'text',
    ['', '\n', '# only this\n', '"""A text."""', 'x = 1', 'x = 1;y = 2\n'],
)
def test_little_ones(tmp_path, text):
    path = tmp_path / 'config.py'
    path.write_text(text)
    assert migrate_config(path).after == text


def test_windows_lines_stay(tmp_path):
    path = tmp_path / 'config.py'
    path.write_bytes(b'# a\r\ntotal_iters = 3\r\nx = 1\r\n')
    after = migrate_config(path).after
    assert (
        after
        == '# a\r\ntrain_cfg = dict(by_epoch=False, max_iters=3)\r\nx = 1\r\n'
    )


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        (b'x = (\n', 'line 1'),
        (b'\xff\xfe', 'no text'),
        (b'print 3\n', 'line 1'),
    ],
)
def test_no_python(tmp_path, text, reason):
    path = tmp_path / 'config.py'
    path.write_bytes(text)
    with pytest.raises(UnreadableSource, match=reason):
        migrate_config(path)


def test_no_file(tmp_path):
    with pytest.raises(UnreadableSource, match='no such file'):
        migrate_config(tmp_path / 'nowhere.py')
