"""Of ``benchmarks.optimizers.records``."""

from benchmarks.optimizers.records import Records

ROW = dict(path='a.B', dtype='float32', version='1', verdict='wrong')


def test_the_last_one_is_valid_and_is_kept(tmp_path):
    path = tmp_path / 'folder' / 'found.jsonl'
    records = Records(path)
    records.add(ROW)
    records.add({**ROW, 'verdict': 'right'})
    for found in (records, Records(path)):
        assert found.get(('a.B', 'float32'), '1')['verdict'] == 'right'


def test_another_version_is_not_known(tmp_path):
    records = Records(tmp_path / 'found.jsonl')
    records.add(ROW)
    assert records.get(('a.B', 'float32'), '2') is None
    assert records.get(('a.B', 'float16'), '1') is None
