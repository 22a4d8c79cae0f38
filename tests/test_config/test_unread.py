"""Options that change a variable which the file has used already."""

import logging

import pytest
from mmengine.config import Config

from mmamp.config.loading import load_config, merge_options

FOLDER = """
pictures = 'data/cats'
image_size = 64
load = [dict(type='LoadImage'), dict(type='Resize', scale=64)]
train_dataloader = dict(batch_size=64, dataset=dict(
    data_root=pictures, pipeline=[*load, dict(type='PackImage')]))
val_dataloader = dict(dataset=dict(data_root=pictures + '/val'))
model = dict(image_size=image_size, base_channels=64)
"""


@pytest.fixture
def told(tmp_path, mm_log):
    """The warning of some options of a config."""

    def told(options, text=FOLDER):
        file = tmp_path / 'c.py'
        file.write_text(text)
        merge_options(load_config(str(file)), options)
        return mm_log(logging.WARNING)

    return told


def test_a_path_stays_where_the_file_has_put_it(told):
    log = told({'pictures': '/new dir'})
    assert (
        "--cfg-options: pictures='/new dir' changes nothing: nothing reads "
        "'pictures' once the config file has been read, and "
        'train_dataloader.dataset.data_root=data/cats, '
        'val_dataloader.dataset.data_root=data/cats/val stay; give '
        "train_dataloader.dataset.data_root='/new dir' "
        "val_dataloader.dataset.data_root='/new dir/val'"
    ) in log


def test_what_is_said_is_the_way_to_have_it(told):
    log = told({'pictures': '/new'})
    given = dict(x.split('=') for x in log.strip().split('; give ')[1].split())
    assert told(given) == log  # nothing new
    cfg = Config.fromstring(FOLDER, '.py')
    merge_options(cfg, given)
    assert cfg.train_dataloader.dataset.data_root == '/new'
    assert cfg.val_dataloader.dataset.data_root == '/new/val'


def test_given_in_both_places_it_is_no_mistake(told):
    assert '/new' not in told(
        {
            'pictures': '/new',
            'train_dataloader.dataset.data_root': '/new',
            'val_dataloader.dataset.data_root': '/new',
        }
    )


def test_a_part_of_a_list(told):
    log = told({'load.1.scale': 32})
    assert 'train_dataloader.dataset.pipeline.1.scale=64 stays; give ' in log
    assert log.rstrip().endswith('pipeline.1.scale=32')


def test_a_number_is_known_by_its_name(told):
    log = told({'image_size': 32})
    assert 'model.image_size=64 stays; give model.image_size=32' in log
    assert 'base_channels' not in log
    assert 'batch_size' not in log


def test_a_variable_of_which_nothing_is_left(told):
    log = told({'spare': 2}, 'spare = 1\nmodel = dict(a=1)\n')
    assert 'spare=2 changes nothing' in log
    assert 'give' not in log


def test_keys_of_mmengine_change_something(told):
    assert told({'randomness.seed': 3, 'model.image_size': 8}) == ''


def test_a_key_at_the_top_that_belongs_further_down(told):
    log = told({'batch_size': 8})
    assert "the config had no 'batch_size'" in log
    assert 'nothing reads it; did you mean train_dataloader.batch_size?' in log


def test_a_lazy_config_imports_nothing_for_it(tmp_path, mm_log):
    file = tmp_path / 'c.py'
    file.write_text(
        'from no_such_module_at_all import Thing\n'
        "pictures = 'data/x'\n"
        'train_dataloader = dict(dataset=dict(type=Thing, '
        'data_root=pictures))\n'
    )
    cfg = Config._parse_lazy_import(str(file))[0]
    cfg = Config(cfg, filename=str(file))
    merge_options(cfg, {'pictures': '/new'})
    log = mm_log(logging.WARNING)
    assert 'give train_dataloader.dataset.data_root=/new' in log
