import pytest

from benchmarks.speed.checkpoints import Stops, measure_stops
from benchmarks.speed.report import stop_rows


def test_saves_in_turns(tmp_path):
    stops = measure_stops(1, 3, 4, tmp_path, threads=1)
    assert len(stops.beside) == len(stops.at_once) == 3
    assert all(x > 0 for x in stops.beside + stops.at_once)
    assert len(stops.busy) + len(stops.idle) == 24
    # Weights, their average and two moments of Adam's, of two layers.
    assert stops.gib == pytest.approx(2 * 16 / 1024, rel=0.1)
    folders = [
        [x.name for x in tmp_path.glob(f'{kind}/*/*.pth')]
        for kind in ('beside', 'at_once')
    ]
    assert folders == [['iter_20.pth'], ['iter_24.pth']]


def test_the_first_is_told_apart():
    """Its memory is new."""
    stops = Stops([3.0, 1.0, 1.0], [5.0, 10.0, 20.0], [2.0], [1.0], 1.0)
    _, first, alone, ratio, iteration = stop_rows(stops)
    assert first[1:3] == ('1.00 (1.00 to 1.00)', '15.00 (10.00 to 20.00)')
    assert alone[1:3] == ('3.00', '5.00')
    assert ratio[1] == '0.08 (0.05 to 0.10)'
    assert ratio[3:] == ('<= 0.15', 'met')
    assert iteration[1] == '2.00'


def test_a_process_that_fails_says_so(tmp_path):
    (tmp_path / 'beside').touch()
    with pytest.raises(RuntimeError, match='checkpoints: '):
        measure_stops(1, 2, 2, tmp_path)
