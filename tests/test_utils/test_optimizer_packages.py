import sys

import pytest

from mmamp.utils.optimizer_packages import package_of


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / 'prodigyopt.py').write_text('class Prodigy: pass\n')
    (tmp_path / 'broken_optimizers.py').write_text('import not_there_at_all\n')
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ('prodigyopt', 'broken_optimizers'):
        sys.modules.pop(name, None)


def test_what_to_install():
    text = package_of('CAME')
    assert (
        ' CAME is in came-pytorch: `pip install came-pytorch`, then '
        "type='came_pytorch.CAME'." in text
    )
    # Of two packages one may have it under a name that is spelt otherwise.
    assert "'adam_mini.Adam_mini'" in package_of('AdamMini')
    assert "'pytorch_optimizer.AdamMini'" in package_of('AdamMini')
    assert package_of('Nobody') == ''


@pytest.mark.usefixtures('package')
def test_what_is_installed():
    text = package_of('Prodigy')
    assert text == " Prodigy is in prodigyopt: type='prodigyopt.Prodigy'."
    assert package_of('prodigyopt.Prodigi') == " Did you mean 'Prodigy'?"


@pytest.mark.usefixtures('package')
def test_paths_that_cannot_be_imported():
    text = ' came_pytorch is not installed: `pip install came-pytorch`.'
    assert package_of('came_pytorch.CAME') == text
    assert package_of('nobody.CAME') == ' nobody is not installed.'
    text = ' broken_optimizers cannot be imported: No module named'
    assert package_of('broken_optimizers.X').startswith(text)
