"""StyleGAN2 with classes, in several processes and compiled."""

import pytest
import torch
from digits_loader import digits_loader
from has_fsdp2 import HAS_FSDP2
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import FlexibleRunner, Runner

from mmamp.registry import MODELS

SMALL = dict(image_size=8, channel_base=64, channel_max=8, num_classes=10)
STRATEGIES = [
    None,
    pytest.param(
        dict(type='mmamp.FSDP2Strategy'),
        marks=pytest.mark.skipif(not HAS_FSDP2, reason='no FSDP2'),
    ),
]


def config(work_dir, world_size, strategy=None, iters=2):
    cfg = Config(
        dict(
            default_scope='mmamp',
            work_dir=str(work_dir),
            launcher='pytorch' if world_size > 1 else 'none',
            env_cfg=dict(),
            model=dict(
                type='StyleGAN2',
                noise_size=6,
                num_classes=10,
                generator=dict(
                    type='StyleGAN2Generator',
                    out_channels=1,
                    noise_size=6,
                    style_size=8,
                    num_mapping_layers=2,
                    **SMALL,
                ),
                discriminator=dict(
                    type='StyleGAN2Discriminator',
                    in_channels=1,
                    num_mapping_layers=2,
                    **SMALL,
                ),
                gan_loss=dict(type='GANLoss', gan_type='logistic'),
                disc_regularizers=[dict(type='R1', interval=2)],
                gen_regularizers=[dict(type='PathLength', interval=2)],
                ema_config=dict(momentum=0.1),
            ),
            optim_wrapper=dict(
                constructor='OptimWrapperConstructor',
                **{
                    name: dict(
                        type='AmpOptimWrapper',
                        dtype='float32',
                        optimizer=dict(type='Adam', lr=1e-3),
                    )
                    for name in ('generator', 'discriminator')
                },
            ),
            train_dataloader=digits_loader(8 // world_size),
            train_cfg=dict(by_epoch=False, max_iters=iters),
            default_hooks=dict(
                checkpoint=dict(
                    type='CheckpointHook', interval=1, by_epoch=False
                )
            ),
            custom_hooks=[dict(type='StateHook')],
            log_level='ERROR',
            randomness=dict(seed=0),
        )
    )
    if strategy is not None:
        cfg.strategy = strategy
    elif world_size > 1:
        cfg.model_wrapper_cfg = dict(
            type='mmamp.SeparateDistributedDataParallel', device_ids=None
        )
    return cfg


def train(cfg):
    kind = FlexibleRunner if 'strategy' in cfg else Runner
    runner = kind.from_cfg(cfg)
    runner.train()
    return runner


def ranks(rank, world_size, work_dir, strategy, load_from):
    cfg = config(work_dir, world_size, strategy, iters=1)
    cfg.load_from = load_from
    train(cfg)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_two_ranks_have_the_average_of_one(in_ranks, tmp_path, strategy):
    cfg = config(tmp_path / 'one', 1, iters=1)
    with DefaultScope.overwrite_default_scope('mmamp'):
        model = MODELS.build(cfg.model)
    begin = str(tmp_path / 'begin.pth')
    torch.save(dict(state_dict=model.state_dict()), begin)
    cfg.load_from = begin
    train(cfg)
    in_ranks(2, ranks, tmp_path / 'two', strategy, begin)
    one, two = (
        torch.load(tmp_path / name / 'iter_1.pth', weights_only=False)
        for name in ('one', 'two')
    )
    for key in ('generator.w_average', 'generator_ema.module.w_average'):
        expected = one['state_dict'][key]
        assert expected.any()
        torch.testing.assert_close(two['state_dict'][key], expected)


@pytest.mark.slow
def test_compiled_trains_as_without(tmp_path):
    plain = train(config(tmp_path / 'plain', 1, iters=2))
    cfg = config(tmp_path / 'compiled', 1, iters=2)
    cfg.model.compile = dict(
        generator=dict(backend='aot_eager'),
        discriminator=dict(backend='eager'),
    )
    found = train(cfg)
    torch._dynamo.reset()
    expected = plain.model.state_dict()
    for name, value in found.model.state_dict().items():
        torch.testing.assert_close(
            value, expected[name], rtol=1e-3, atol=1e-4, msg=name
        )
    assert expected['generator.w_average'].any()
    for model in (plain.model, found.model):
        model.truncation = 0.5
    assert torch.equal(plain.model.sample(4), found.model.sample(4))
