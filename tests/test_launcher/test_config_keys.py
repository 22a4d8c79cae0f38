from mmengine.config import Config

from mmamp.config.data import seed_data
from mmamp.launcher.config_keys import keys_of_paths, keys_of_type


def config():
    folder = dict(type='ImageFolderDataset', data_root='data/a')
    return Config(
        dict(
            data_root='data/a',
            train_dataloader=dict(
                dataset=folder, sampler=dict(type='InfiniteSampler')
            ),
            val_dataloader=dict(
                dataset=dict(type='U', source=folder, prefix='.')
            ),
            model=dict(losses=[dict(weights='/data/vgg.pth')]),
        )
    )


def test_keys_and_those_of_a_folder_above():
    keys = [
        'data_root',
        'train_dataloader.dataset.data_root',
        'val_dataloader.dataset.source.data_root',
    ]
    assert keys_of_paths(config(), "there is no 'data/a/train'") == keys
    assert keys_of_paths(config(), "there is no 'data/a'") == keys
    assert keys_of_paths(config(), "there is no 'data/ab'") == []
    assert keys_of_paths(config(), "'/data/vgg.pth': none") == [
        'model.losses.0.weights'
    ]


def test_keys_are_those_the_user_gave():
    """Not those that the launcher's own wrapping makes."""
    cfg = config()
    seed_data(cfg)
    (_, first, _) = keys_of_paths(cfg, "'data/a'")
    assert first == 'train_dataloader.dataset.data_root'


def test_keys_of_a_type():
    found = keys_of_type(config(), 'ImageFolderDataset')
    assert found == [
        'train_dataloader.dataset.type',
        'val_dataloader.dataset.source.type',
    ]
    cfg = config()
    seed_data(cfg)
    assert keys_of_type(cfg, 'ImageFolderDataset') == found
    (found,) = keys_of_type(cfg, 'InfiniteSampler')
    assert found == 'train_dataloader.sampler.type'
    cfg = Config(dict(optim_wrapper=dict(constructor='C', name='C')))
    assert keys_of_type(cfg, 'C') == ['optim_wrapper.constructor']
    assert keys_of_type(None, 'C') == []


def test_no_config():
    assert keys_of_paths(None, "'data/a'") == []
