"""What the tests of the pages rely on finds what it should."""

import pytest
from doc_blocks import ROOT, blocks, headings, without_comments
from doc_commands import check

PAGE = """\
# Title

<!-- test: slow -->
```bash
A=1 python tools/train.py \\
    x.py && python b.py  # why
```

- item

  ```python
  a = 1  # {comment}
  ```

<!-- migrate: config -->
```python
x = 1
```
```python
y = 1
```
```python
# no heading
f()
```
"""


@pytest.fixture
def found(tmp_path):
    def find(comment='one'):
        path = tmp_path / 'page.md'
        path.write_text(PAGE.format(comment=comment))
        return path, blocks(path)

    return find


def test_blocks(found):
    path, (bash, config, *pair, code) = found()
    assert (bash.line, bash.marker) == (4, 'slow')
    assert bash.commands() == [
        ['A=1', 'python', 'tools/train.py', 'x.py'],
        ['python', 'b.py'],
    ]
    assert config.text == 'a = 1  # one\n'
    assert config.is_config
    assert not code.is_config
    assert [block.marker for block in pair] == ['migrate'] * 2
    assert headings(path) == [(1, 'Title')]


def test_comments_are_left_out(found):
    one, other = (without_comments(found(x)[1][1]) for x in ('one', 'two'))
    assert one.split() == other.split() == ['a', '=', '1']


@pytest.mark.parametrize(
    'command',
    [
        'sudo rm x',
        'python tools/nothing.py',
        'python tools/train.py configs/nothing.py',
        'bash tools/dist_train.sh configs/dcgan/dcgan_digits-32x32.py 2 --emp',
        'python tools/results.py CONFIG --sedes 0',
        'pip install mmamp',
        'python -m mmamp.train nothing.py',
        'python -m mmamp.train own.py --emp',
        'python own_train.py --emp',
        'python nothing.py',
    ],
)
def test_a_command_that_cannot_be_run(command, tmp_path):
    own_files(tmp_path)
    with pytest.raises((AssertionError, SystemExit)):
        check(command.split(), tmp_path)


def own_files(folder):
    """What a checkout has, and files of a page."""
    for name in ('benchmarks', 'configs', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'own.py').write_text('')
    (folder / 'own_train.py').write_text("print('--resume')")


@pytest.mark.parametrize(
    'command',
    ['python -m mmamp.train own.py --amp', 'python own_train.py --resume'],
)
def test_a_command_of_a_page_of_its_own_files(command, tmp_path):
    own_files(tmp_path)
    check(command.split(), tmp_path)
