"""What is not converted."""


def test_it_is_said(check):
    text = 'data = dict(train=dict())\nmetrics = dict()\n'
    said = check(text, text).said('outside')
    assert [x.split()[0] for x in said] == ['data', 'metrics']


def test_and_not_where_there_is_nothing(check):
    assert check('x = 1\n', 'x = 1\n').result.findings == []
