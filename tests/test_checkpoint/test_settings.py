"""What a checkpoint's config tells of a run's settings."""

import pytest
from mmengine.config import Config

from mmamp.checkpoint.settings import differences, settings_of


def text_of(**settings):
    return Config(settings).pretty_text


def changed(then, now):
    pair = (settings_of(text_of(**x)) for x in (then, now))
    return {one.key: (one.saved, one.own) for one in differences(*pair)}


def optimizers(**settings):
    adam = dict(type='Adam', lr=0.1, betas=(0.5, 0.99), **settings)
    return dict(optim_wrapper=dict(generator=dict(optimizer=adam)))


def test_a_config_is_read_as_it_was():
    cfg = dict(
        model=dict(a=[1, dict(b=None)], c={'x-y': -1e-3}, d='it\'s "so"'),
        train_dataloader=dict(batch_size=4),
    )
    assert settings_of(text_of(**cfg)) == cfg


def test_nothing_of_it_is_run(tmp_path):
    file = tmp_path / 'f'
    text = f"model = dict(a=open({str(file)!r}, 'w'), b=inf)\n"
    assert settings_of(text)['model'] == dict(
        a=f"open({str(file)!r}, 'w')", b='inf'
    )
    assert not file.exists()


@pytest.mark.parametrize('text', [None, '', 'a = (', '\0', 'a = dict(*b)'])
def test_what_is_no_config(text):
    assert settings_of(text) in ({}, {'a': 'dict(*b)'})


def test_keys_and_sets_of_any_kind():
    text = 'model = dict(names={(0, 1): [2], 3: 4}, odd={[1]})'
    names = {(0, 1): [2], 3: 4}
    assert settings_of(text) == {'model': dict(names=names, odd='{[1]}')}


def test_the_same_settings():
    assert changed(optimizers(), optimizers()) == {}
    listed = optimizers()
    listed['optim_wrapper']['generator']['optimizer']['betas'] = [0.5, 0.99]
    listed['optim_wrapper']['generator']['clip_grad'] = None
    assert changed(optimizers(), listed) == {}


def test_each_has_its_key_and_both_values():
    now = optimizers(eps=1e-6)
    now['optim_wrapper']['generator']['optimizer']['lr'] = 0.2
    steps = [dict(type='MultiStepLR', milestones=[2])]
    more = dict(train_dataloader=dict(batch_size=8), param_scheduler=steps)
    later = [dict(steps[0], milestones=[3, 4])]
    assert changed(
        {**optimizers(), **more}, {**now, **more, 'param_scheduler': later}
    ) == {
        'optim_wrapper.generator.optimizer.lr': ('0.1', '0.2'),
        'optim_wrapper.generator.optimizer.eps': ('none', '1e-06'),
        'param_scheduler.0.milestones': ('[2]', '[3, 4]'),
    }


def test_what_changes_the_speed_alone_is_no_difference():
    then = dict(train_dataloader=dict(num_workers=0, dataset=dict(n=1)))
    now = dict(
        train_dataloader=dict(
            num_workers=4,
            persistent_workers=True,
            dataset=dict(type='mmamp.SeededDataset', dataset=dict(n=1)),
        ),
        work_dir='other',
    )
    assert changed(then, now) == {}
