"""One key for where the data are."""

from pathlib import Path

import pytest

from mmamp.config.loading import load_config, merge_options

CONFIGS = Path(__file__).parents[2] / 'configs'
FOLDERS = sorted(CONFIGS.glob('*/*folder*.py'))


def folders(node):
    """All paths of datasets."""
    if isinstance(node, dict):
        if 'data_root' in node:
            yield node['data_root']
        for value in node.values():
            yield from folders(value)


def roots(cfg):
    loaders = [cfg[f'{mode}_dataloader'] for mode in ('train', 'val', 'test')]
    return [Path(x) for loader in loaders for x in folders(loader.to_dict())]


@pytest.mark.parametrize('config', FOLDERS, ids=lambda path: path.stem)
def test_on_the_command_line(config, mm_log):
    cfg = load_config(str(config))
    before = roots(cfg)
    old = Path(cfg.data_root)
    merge_options(cfg, dict(data_root='/big/disk'))
    expected = [Path('/big/disk', path.relative_to(old)) for path in before]
    assert roots(cfg) == expected
    assert len(before) >= 3
    assert "data_root='/big/disk', not 'data/" in mm_log()
    assert 'train_dataloader.dataset.' in mm_log()


def test_in_a_config_of_ones_own(tmp_path, mm_log):
    base = CONFIGS / 'cyclegan/cyclegan_unpaired-folders-256x256.py'
    config = tmp_path / 'mine.py'
    config.write_text(f'_base_ = [{str(base)!r}]\ndata_root = "pics"\n')
    found = roots(load_config(str(config)))
    names = ['trainA', 'trainB', *['testA', 'testB'] * 2]
    assert found == [Path('pics', name) for name in names]
    assert "data_root='pics', not 'data/unpaired'" in mm_log()


def test_of_a_package(tmp_path):
    config = tmp_path / 'mine.py'
    base = 'mmamp::dcgan/dcgan_folder-64x64.py'
    config.write_text(f'_base_ = {base!r}\ndata_root = "pics"\n')
    assert set(roots(load_config(str(config)))) == {Path('pics')}


def test_what_is_set_itself_stays(tmp_path):
    base = CONFIGS / 'dcgan/dcgan_folder-64x64.py'
    config = tmp_path / 'mine.py'
    config.write_text(
        f'_base_ = [{str(base)!r}]\ndata_root = "pics"\n'
        'val_dataloader = dict(dataset=dict(data_root="others"))\n'
        'elsewhere = dict(path="data/images2")\n'
    )
    cfg = load_config(str(config))
    assert cfg.val_dataloader.dataset.data_root == 'others'
    assert cfg.train_dataloader.dataset.data_root == 'pics'
    assert cfg.elsewhere.path == 'data/images2'
    options = {
        'data_root': 'new',
        'test_dataloader.dataset.data_root': 'more',
    }
    merge_options(cfg, options)
    assert [str(x) for x in roots(cfg)] == ['new', 'others', 'more']


def test_a_file_that_reads_it_has_said_what_it_is_for(tmp_path, mm_log):
    """As configs of all toolboxes do, here for training alone."""
    (tmp_path / 'base.py').write_text(
        'data_root = "data/"\n'
        + ''.join(
            f'{mode}_dataloader = dict(dataset=dict(data_root=data_root))\n'
            for mode in ('train', 'val', 'test')
        )
    )
    config = tmp_path / 'mine.py'
    config.write_text(
        '_base_ = "base.py"\ndata_root = "data/cats/"  # 猫\n'
        'train_dataloader = dict(dataset=dict(data_root=data_root))\n'
    )
    cfg = load_config(str(config))
    found = [
        cfg[f'{x}_dataloader'].dataset.data_root for x in ('train', 'val')
    ]
    assert found == ['data/cats/', 'data/']
    assert mm_log() == ''
