"""Of ``benchmarks.results.metafiles``, and of the metafiles in ``configs``."""

from pathlib import Path

import pytest
import yaml
from modelindex.load_model_index import load as load_model_index

from benchmarks.results.metafiles import metafile

ROOT = Path(__file__).parents[3]
MEASURED = [
    path.parent
    for path in sorted(ROOT.glob('configs/*/README.md'))
    if '## Results of' in path.read_text()
]

README = """\
# Some GAN

Writer and Author, "[A
Title](https://arxiv.org/abs/1)", ICLR 2016.

| config | data | iterations |
| --- | --- | --- |
| [a.py](a.py) | digits | 500 |

## Results of a.py

| precision | seeds | FID | ms an iteration | time / float32 | \
peak memory, MiB |
| --- | --- | --- | --- | --- | --- |
| float32 | 0, 1 | 1.5 ± 0.2 | 41 | 1.00 (1.00 to 1.00) | 935 |
| float16 (100 iterations) | 0 | 2 | 50 | 1.2 (1.1 to 1.3) | 918 |
"""


def test_says_what_the_readme_says(tmp_path):
    (tmp_path / 'README.md').write_text(README)
    found = yaml.safe_load(metafile(tmp_path / 'README.md'))
    (collection,) = found['Collections']
    assert collection['Name'] == 'Some GAN'
    assert collection['Paper'] == dict(
        Title='A Title', URL='https://arxiv.org/abs/1'
    )
    first, second = found['Models']
    assert first['Name'] == 'a'
    assert first['Weights'] == 'work_dirs/a/'
    assert first['Metadata']['Training Data'] == 'digits'
    assert first['Results'][0]['Metrics'] == dict(FID=1.5)
    assert second['Name'] == 'a_float16'
    assert second['Weights'] == 'work_dirs/a/'
    assert second['Metadata']['Iterations'] == 100
    assert second['Results'][0]['Metrics'] == dict(FID=2.0)


@pytest.mark.parametrize('folder', MEASURED, ids=lambda path: path.name)
def test_metafiles_are_up_to_date(folder):
    """Write one with `write_metafile`, or by `tools/results.py`."""
    path = folder / 'metafile.yml'
    assert path.read_text() == metafile(folder / 'README.md')


def test_index_holds_every_metafile():
    index = load_model_index(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    names = [model.name for model in index.models]
    assert len(names) == len(set(names)) >= 3 * len(MEASURED)
    for model in index.models:
        assert (ROOT / model.config).is_file()
        assert model.results[0].metrics


def test_citation():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert {'cff-version', 'message', 'title', 'authors'} <= set(citation)
    assert 'version' not in citation  # that is in mmamp/version.py alone


@pytest.mark.parametrize(
    'path', sorted((ROOT / '.github/ISSUE_TEMPLATE').glob('*.yml'))
)
def test_issue_forms_are_forms(path):
    """As GitHub's schema of issue forms has it."""
    form = yaml.safe_load(path.read_text())
    assert {'name', 'description', 'body'} <= set(form)
    ids = [field['id'] for field in form['body'] if 'id' in field]
    assert len(ids) == len(set(ids)) >= 2
    kinds = {field['type'] for field in form['body']}
    assert kinds <= {'markdown', 'textarea', 'input', 'dropdown', 'checkboxes'}
