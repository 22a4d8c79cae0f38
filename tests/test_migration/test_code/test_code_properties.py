"""What holds of every Python file, tried on the standard library's."""

import ast
import sysconfig
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmamp.migration.code import UnreadableSource, migrate_code
from mmamp.migration.code.blocks import comments_of_source

CORPUS = Path(__file__).parents[1] / 'corpus' / 'code'
LARGE = 40_000
SLOWLY = settings(
    max_examples=25,
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@cache
def files() -> list[Path]:
    """Python files of the standard library and of site-packages."""
    paths = sysconfig.get_paths()
    library = sorted(Path(paths['stdlib']).glob('*.py'))
    packages = Path(paths['purelib'])
    found = [
        *library,
        *sorted((packages / 'mmengine').rglob('*.py')),
        *sorted((packages / 'mmcv').rglob('*.py')),
        *sorted((packages / 'torch' / 'optim').rglob('*.py')),
    ]
    return [x for x in found if x.stat().st_size < LARGE]


def check(text: str, path: Path) -> None:
    try:
        once = migrate_code(text, path)
    except UnreadableSource:
        return  # LibCST is behind the newest syntax
    ast.parse(once.after)
    left = comments_of_source(once.after)
    for comment in comments_of_source(text):
        assert comment in left
        left.remove(comment)
    assert not any('could not be applied' in x.reason for x in once.findings)
    assert migrate_code(once.after, path).after == once.after


@SLOWLY
@given(st.data())
def test_files_that_are_there(data):
    path = data.draw(st.sampled_from(files()))
    check(path.read_text(encoding='utf-8', errors='replace'), path)


LINES = [
    "optimizer['a'].zero_grad()",
    "optimizer['a'].step()  # step",
    "optimizer['b'].step()",
    'optimizer.step()',
    'loss.backward()',
    '# a comment',
    '',
    'loss = self.disc(data_batch)',
    'loss = loss / self.batch_accumulation_steps',
    'log_vars.update(x)',
    'return dict(log_vars=log_vars, num_samples=1)  # back',
    'outputs = dict(log_vars=log_vars, num_samples=1)',
    'return outputs',
    "i = running_status['iteration']",
    'if loss_scaler: loss_scaler.update()',
    'set_requires_grad(self.a, True)',
    'data = 3',
    'x = dict(loss_scaler=loss_scaler)',
    'optimizer = self.optimizer',
]
HEADS = [
    'if loss_scaler:',
    'if ddp_reducer is not None:',
    'if i % self.batch_accumulation_steps == 0:',
    'for _ in range(self.batch_accumulation_steps):',
    'with torch.no_grad():  # without',
    'while x:',
]
blocks = st.recursive(
    st.lists(st.sampled_from(LINES), max_size=5),
    lambda inner: st.lists(
        st.sampled_from(LINES)
        | st.tuples(st.sampled_from(HEADS), inner)
        | st.tuples(st.just('else'), inner, inner),
        max_size=5,
    ),
    max_leaves=8,
)


def write(block: list, depth: int) -> list[str]:
    space = '    ' * depth
    lines = []
    for item in block:
        if isinstance(item, str):
            lines.append(space + item if item else '')
        elif item[0] == 'else':
            lines += [f'{space}if loss_scaler:', *write(item[1], depth + 1)]
            lines += [f'{space}else:', *write(item[2], depth + 1)]
        else:
            lines += [space + item[0], *write(item[1], depth + 1)]
    return [*lines, f'{space}pass']


@settings(SLOWLY, max_examples=150)
@given(blocks)
def test_training_steps_that_make_no_sense(block):
    text = '\n'.join(
        [
            'class GAN(nn.Module):',
            '    def train_step(self, data_batch, optimizer,',
            '                   ddp_reducer=None, loss_scaler=None,',
            '                   running_status=None):',
            *write(block, 2),
            '',
        ]
    )
    check(text, Path('gan.py'))


@SLOWLY
@given(st.data())
def test_lines_taken_out_of_the_corpus(data):
    """Files that are a little different from what the rules expect."""
    path = data.draw(st.sampled_from(sorted(CORPUS.glob('*.py'))))
    lines = path.read_text().splitlines(keepends=True)
    gone = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=4))
    text = ''.join(x for i, x in enumerate(lines) if i not in gone)
    check(text, path)
