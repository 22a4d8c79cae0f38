from mmengine.config import Config
from mmengine.runner.loops import _InfiniteDataloaderIterator

from mmamp.compat.mmengine import (
    begun_iterator,
    forget_filename,
    is_lazy,
    is_stock_iterator,
    raw,
    raw_values,
    scope_of,
)
from mmamp.registry import MODELS


def test_values_of_a_lazy_config_are_not_imported(tmp_path):
    path = tmp_path / 'lazy.py'
    path.write_text(
        'from no_such_package import Thing\nmodel = dict(type=Thing, size=2)\n'
    )
    cfg = Config.fromfile(str(path))
    assert is_lazy(str(path))
    assert str(raw(raw(cfg, 'model'), 'type')) == 'Thing'
    assert raw(cfg, 'no_such_key') is None
    assert raw(raw(cfg, 'model'), 'no_such_key') is None
    assert any(x is raw(cfg, 'model') for x in raw_values(cfg))


def test_a_config_that_is_saved_under_no_name(tmp_path):
    path = tmp_path / 'text.py'
    path.write_text('a = 1\n')
    cfg = Config.fromfile(str(path))
    assert not is_lazy(str(path))
    forget_filename(cfg)
    assert cfg.filename is None
    assert cfg.a == 1


def test_scopes_below_a_root():
    assert scope_of(MODELS.root, 'mmamp') is MODELS
    assert scope_of(MODELS.root, 'nothing_of_that_name') is None


def test_iterators_of_loops():
    stock = _InfiniteDataloaderIterator([1, 2])
    assert is_stock_iterator(stock)
    assert not is_stock_iterator(iter([1]))
    assert next(stock) == 1
    assert next(begun_iterator(stock)) == 2
