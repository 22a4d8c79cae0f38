from pathlib import Path

from mmamp.utils.suggest import did_you_mean, suggest_file


def test_did_you_mean():
    assert did_you_mean('Adm', ['Adam', 'SGD']) == " Did you mean 'Adam'?"
    assert did_you_mean('Lion', ['Adam', 'SGD']) == ''


def test_a_file_that_comes_close(tmp_path):
    for folder in ('', 'dcgan', 'a/b', 'a/b/c', '.venv'):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / f'digits{folder[-1:]}.py').touch()
    assert suggest_file(tmp_path / 'digit.py') == (
        f"; did you mean '{tmp_path}/digits.py' or '{tmp_path}/dcgan/"
        f"digitsn.py' or '{tmp_path}/a/b/digitsb.py'?"
    )
    assert suggest_file(tmp_path / 'x.py') == ''


def test_no_file_of_other_folders(tmp_path):
    (tmp_path / 'digits.py').touch()
    (tmp_path / 'deeper').mkdir()
    assert suggest_file(tmp_path / 'none/digit.py') == ''
    assert suggest_file(tmp_path / 'deeper/digit.py') == ''
    assert suggest_file(Path('/digit.py')) == ''
