from mmamp.utils.suggest import did_you_mean, suggest_file


def test_did_you_mean():
    assert did_you_mean('Adm', ['Adam', 'SGD']) == " Did you mean 'Adam'?"
    assert did_you_mean('Lion', ['Adam', 'SGD']) == ''


def test_a_file_that_comes_close(tmp_path):
    (tmp_path / 'dcgan').mkdir()
    (tmp_path / 'dcgan/dcgan_digits.py').touch()
    text = suggest_file(tmp_path / 'gan/dcgan_digit.py')
    assert text == f"; did you mean '{tmp_path}/dcgan/dcgan_digits.py'?"
    assert suggest_file(tmp_path / 'x.py') == ''
