import pytest
from mmengine.config import Config

from mmamp.config.data import seed_data, take_scopes_off


class TestSeedData:
    def test_wraps_dataset_and_sampler_once(self, mm_log):
        cfg = Config(
            dict(
                train_dataloader=dict(
                    dataset=dict(type='A'), sampler=dict(type='B')
                )
            )
        )
        seed_data(cfg)
        seed_data(cfg)
        loader = cfg.train_dataloader
        assert loader.dataset.type == 'mmamp.SeededDataset'
        assert loader.dataset.dataset.type == 'A'
        assert loader.sampler.type == 'mmamp.SeededSampler'
        assert loader.sampler.sampler.type == 'B'
        assert mm_log().count('seeded by the position') == 1

    @pytest.mark.parametrize(
        'loader', [None, dict(), dict(dataset=dict(type='A'), sampler=None)]
    )
    def test_leaves_what_it_cannot_wrap(self, loader):
        cfg = Config(dict(train_dataloader=loader))
        before = cfg.pretty_text
        seed_data(cfg)
        assert cfg.pretty_text == before


def test_a_collate_function_of_another_package(build_runner):
    """MMEngine would hand its scope on as an argument."""

    def edit(cfg):
        cfg.train_dataloader.collate_fn = dict(
            type='default_collate', _scope_='mmengine'
        )
        take_scopes_off(cfg)
        take_scopes_off(cfg)

    runner = build_runner('classifier', edit=edit)
    runner.train()
    assert runner.iter == runner.max_iters
