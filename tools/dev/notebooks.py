"""Execute the notebooks of ``demo/``: ``python tools/dev/notebooks.py``.

The English ones are executed, in a new folder, and what they print is kept in
them; the Chinese ones get their code and what it printed, cell by cell.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'demo'
CHINESE = '_zh-CN'
TIMEOUT = 900
"""Seconds that a cell may take, on a machine that has other work too."""
# A kernel asks for colours, which a file does without.
COLOR = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]')
# A line of the log begins with when it was written.
WHEN = re.compile(r'^(\d{4}/)?\d\d/\d\d \d\d:\d\d:\d\d - mmengine - ', re.M)


def notebooks() -> list[Path]:
    """Return the notebooks in English."""
    found = sorted(DEMO.glob('*.ipynb'))
    return [path for path in found if not path.stem.endswith(CHINESE)]


def chinese(path: Path) -> Path:
    """Return the notebook in Chinese that goes with one in English."""
    return path.with_stem(path.stem + CHINESE)


def execute(path: Path, folder: Path) -> NotebookNode:
    """Execute a notebook in an empty folder.

    Args:
        path (Path): Of the notebook, which stays as it is.
        folder (Path): Where its files go.

    Returns:
        NotebookNode: With what it prints, free of this machine's paths and
        the hour.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name='python3',
        resources=dict(metadata=dict(path=str(folder))),
        record_timing=False,
        coalesce_streams=True,
    )
    paths = filter(None, [str(ROOT), os.environ.get('PYTHONPATH')])
    # What they say is what a CPU makes of it.
    env = dict(PYTHONPATH=os.pathsep.join(paths), CUDA_VISIBLE_DEVICES='')
    client.execute(env={**os.environ, **env})
    for cell in code_cells(notebook):
        cell.outputs = [_cleaned(x, folder.resolve()) for x in cell.outputs]
    notebook.metadata.pop('widgets', None)
    notebook.metadata.language_info = dict(name='python')
    return notebook


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells of a notebook that have code."""
    return [cell for cell in notebook.cells if cell.cell_type == 'code']


def _cleaned(output: NotebookNode, folder: Path) -> NotebookNode:
    if output.output_type == 'stream':
        text = WHEN.sub('', COLOR.sub('', output.text))
        # The notebook makes a folder, and works there.
        text = re.sub(rf'{re.escape(str(folder))}/\w+/', '', text)
        output.text = text.replace(f'{ROOT}/', '')
    return output


def write(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook that was executed, and that in Chinese.

    Args:
        path (Path): Of the notebook in English.
        notebook (NotebookNode): What :func:`execute` made of it.

    Raises:
        ValueError: If the one in Chinese has other cells.
    """
    other = nbformat.read(chinese(path), as_version=4)
    mine, theirs = ([x.cell_type for x in n.cells] for n in (notebook, other))
    if mine != theirs:
        raise ValueError(
            f'{path.name} and {chinese(path).name} have other cells: {mine} '
            f'and {theirs}'
        )
    other.cells = [
        cell if cell.cell_type == 'code' else translated
        for cell, translated in zip(notebook.cells, other.cells, strict=True)
    ]
    nbformat.write(notebook, path)
    nbformat.write(other, chinese(path))


def main() -> int:
    """Execute all."""
    for path in notebooks():
        with tempfile.TemporaryDirectory() as folder:
            write(path, execute(path, Path(folder)))
        print(f'Executed: {path.relative_to(ROOT)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
