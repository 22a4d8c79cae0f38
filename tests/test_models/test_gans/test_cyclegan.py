import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from mmamp.models import CycleGAN
from mmamp.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

GENERATORS = ('generator_ab', 'generator_ba')
DISCRIMINATORS = ('discriminator_a', 'discriminator_b')
GENERATOR = dict(
    type='mmamp.ResNetGenerator',
    in_channels=1,
    out_channels=1,
    base_channels=2,
    num_blocks=1,
)
DISCRIMINATOR = dict(
    type='mmamp.PatchDiscriminator',
    in_channels=1,
    base_channels=2,
    num_layers=1,
    norm_cfg=dict(type='IN'),
)


def make_gan(**kwargs):
    torch.manual_seed(0)
    return CycleGAN(GENERATOR, DISCRIMINATOR, **kwargs)


def batch(seed=0, num=4):
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.randint(
        0, 256, (2, num, 1, 16, 16), generator=generator, dtype=torch.uint8
    )
    return dict(inputs=one, data_samples=dict(target_img=other))


def optim_cfg(**kwargs):
    def of(modules):
        optimizer = dict(type='Adam', lr=1e-3)
        return dict(modules=list(modules), optimizer=optimizer, **kwargs)

    return dict(generator=of(GENERATORS), discriminator=of(DISCRIMINATORS))


def wrappers(gan, **kwargs):
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='mmamp.OptimWrapperConstructor',
            optim_wrapper_cfg=optim_cfg(**kwargs),
        )
    )
    return constructor(gan)


def states(gan, names):
    return {
        name: [p.detach().clone() for p in getattr(gan, name).parameters()]
        for name in names
    }


def moved(gan, before):
    """Names of the networks all of whose weights have moved."""
    return [
        name
        for name, params in before.items()
        if not any(
            torch.equal(a, b)
            for a, b in zip(
                params, getattr(gan, name).parameters(), strict=True
            )
            if a.dim() == 4
        )
    ]


@pytest.fixture(autouse=True)
def _seed():
    MessageHub.get_current_instance().update_info('seed', 0)


def test_four_networks_of_their_own():
    gan = make_gan()
    for one, other in (GENERATORS, DISCRIMINATORS):
        first, second = getattr(gan, one), getattr(gan, other)
        pairs = zip(first.parameters(), second.parameters(), strict=True)
        assert not all(torch.equal(a, b) for a, b in pairs)


class TestLosses:
    def prepared(self, gan):
        data = gan.data_preprocessor(batch(), True)
        real_b = data['data_samples']['target_img']
        return data['inputs'], real_b, data['data_samples']

    def test_of_the_generators(self):
        gan = make_gan(cycle_weight=6.0, identity_weight=0.25)
        real_a, real_b, samples = self.prepared(gan)
        losses = gan.gen_loss(real_a, samples, None)
        to_b, to_a = gan.generator_ab, gan.generator_ba
        fake_b, fake_a = to_b(real_a), to_a(real_b)
        wanted = dict(
            loss_gen_ab=(gan.discriminator_b(fake_b) - 1).square().mean(),
            loss_gen_ba=(gan.discriminator_a(fake_a) - 1).square().mean(),
            loss_cycle_a=6 * (to_a(fake_b) - real_a).abs().mean(),
            loss_cycle_b=6 * (to_b(fake_a) - real_b).abs().mean(),
            loss_identity_a=1.5 * (to_a(real_a) - real_a).abs().mean(),
            loss_identity_b=1.5 * (to_b(real_b) - real_b).abs().mean(),
        )
        assert set(losses) == set(wanted)
        for key, value in wanted.items():
            torch.testing.assert_close(losses[key], value, msg=key)

    def test_of_the_discriminators(self):
        """Of the first batch, which the pools return as it is."""
        gan = make_gan()
        real_a, real_b, samples = self.prepared(gan)
        losses = gan.disc_loss(real_a, samples, wrappers(gan)['discriminator'])
        fake_b, fake_a = gan.generator_ab(real_a), gan.generator_ba(real_b)
        for key, net, real, fake in [
            ('loss_disc_a', gan.discriminator_a, real_a, fake_a),
            ('loss_disc_b', gan.discriminator_b, real_b, fake_b),
        ]:
            wanted = (
                net(fake).square().mean() + (net(real) - 1).square().mean()
            )
            torch.testing.assert_close(losses[key], wanted / 2)
        sum(losses.values()).backward()
        for name in GENERATORS:
            assert all(p.grad is None for p in getattr(gan, name).parameters())

    def test_identity_can_be_left_out(self):
        gan = make_gan(identity_weight=0.0)
        real_a, _, samples = self.prepared(gan)
        assert len(gan.gen_loss(real_a, samples, None)) == 4

    def test_defaults_are_the_papers(self):
        gan = make_gan()
        assert gan.gan_loss.gan_type == 'lsgan'
        assert (gan.cycle_weight, gan.identity_weight) == (10, 0.5)
        assert gan.pool_a.size == gan.pool_b.size == 50

    def test_no_other_domain(self):
        gan = make_gan()
        with pytest.raises(
            ValueError, match=r"CycleGAN needs data_samples\['target_img'\]"
        ):
            gan.gen_loss(torch.zeros(1, 1, 16, 16), None, None)


class TestTraining:
    def test_moves_all_networks(self):
        gan = make_gan().train()
        before = states(gan, GENERATORS + DISCRIMINATORS)
        gan.train_step(batch(), wrappers(gan))
        assert moved(gan, before) == [*GENERATORS, *DISCRIMINATORS]

    def test_leaves_no_gradient_in_the_other_side(self):
        gan = make_gan().train()
        optim_wrapper = wrappers(gan)
        seen = {}

        def spy(name, others):
            step = optim_wrapper[name].optimizer.step

            def spied(*args, **kwargs):
                networks = [getattr(gan, other) for other in others]
                seen[name] = [p.grad for n in networks for p in n.parameters()]
                return step(*args, **kwargs)

            optim_wrapper[name].optimizer.step = spied

        spy('generator', DISCRIMINATORS)
        spy('discriminator', GENERATORS)
        gan.train_step(batch(), optim_wrapper)
        for wrapper in optim_wrapper.values():
            wrapper.zero_grad()
        gan.train_step(batch(1), optim_wrapper)
        assert set(seen) == {'generator', 'discriminator'}
        for grads in seen.values():
            assert grads
            assert all(g is None or not g.any() for g in grads)

    def test_averages_both_generators(self):
        gan = make_gan(ema_config=dict(momentum=0.25)).train()
        before = states(gan, GENERATORS)
        optim_wrapper = wrappers(gan)
        gan.train_step(batch(), optim_wrapper)
        # The first update is taken over as it is.
        first = states(gan, GENERATORS)
        gan.train_step(batch(1), optim_wrapper)
        for name in GENERATORS:
            average = getattr(gan, f'{name}_ema').module.parameters()
            now = getattr(gan, name).parameters()
            for a, b, c, start in zip(
                average, first[name], now, before[name], strict=True
            ):
                torch.testing.assert_close(a, 0.75 * b + 0.25 * c)
                assert a.dim() < 4 or not torch.equal(a, start)

    @pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
    def test_in_low_precision(self, dtype):
        gan = make_gan(pool_size=3).train()
        optim_wrapper = wrappers(
            gan, type='mmamp.AmpOptimWrapper', dtype=dtype
        )
        for i in range(20):
            logs = gan.train_step(batch(i), optim_wrapper)
            assert all(value.isfinite() for value in logs.values())
        # While float16 looks for its scale.
        for wrapper in optim_wrapper.values():
            assert wrapper.skipped_steps < 6
        assert gan.pool_a.images.isfinite().all()
        assert int(gan.pool_a.count) == 3

    def test_discriminators_see_older_results(self):
        gan = make_gan(pool_size=2).train()
        optim_wrapper = wrappers(gan)
        made, seen = [], []

        def made_by(module, args, out):
            if not out.requires_grad:
                made.append(out.clone())

        def seen_by(module, args):
            seen.append(args[0].clone())

        gan.generator_ab.register_forward_hook(made_by)
        gan.discriminator_b.register_forward_pre_hook(seen_by)
        for i in range(4):
            gan.train_step(batch(i), optim_wrapper)
        # The generators' turn has one call of its own.
        fakes = seen[0::3]
        assert torch.equal(fakes[0][:2], made[0][:2])
        every = torch.cat(made)
        found = [
            (every == image).flatten(1).all(1).nonzero().item()
            for image in torch.cat(fakes)
        ]
        olds = [i - place for i, place in enumerate(found)]
        assert min(olds) >= 0
        assert max(olds) > 0


def test_translates_a_to_b():
    gan = make_gan(ema_config=dict(momentum=0.1)).train()
    with torch.no_grad():
        for param in gan.generator_ab.parameters():
            param.normal_()
    inputs = gan.data_preprocessor(batch())['inputs']
    wanted = gan.data_preprocessor.to_uint8(gan.generator_ab_ema(inputs))
    assert torch.equal(gan(inputs), wanted)
    (result,) = gan.test_step(batch(num=1))
    assert result['fake_img'].shape == (1, 16, 16)


def test_networks_are_built_from_configs():
    cfg = dict(
        type='mmamp.CycleGAN', generator=GENERATOR, discriminator=DISCRIMINATOR
    )
    assert isinstance(MODELS.build(cfg), CycleGAN)
    with pytest.raises(TypeError, match='generator_ab, generator_ba is built'):
        CycleGAN(nn.Identity(), DISCRIMINATOR)


class TestResume:
    def edit(self, dtype):
        def change(cfg):
            edges = dict(type='Edges', keep_as=None)
            pack = dict(type='PackImage')
            unpaired = dict(
                type='UnpairedDataset',
                source=dict(type='DigitsDataset', pipeline=[pack]),
                target=dict(type='DigitsDataset', pipeline=[edges, pack]),
            )
            cfg.train_dataloader.dataset = dict(
                type='SeededDataset', dataset=unpaired
            )
            cfg.model = dict(
                type='CycleGAN',
                generator=GENERATOR,
                discriminator=dict(DISCRIMINATOR),
                pool_size=6,
                ema_config=dict(momentum=0.1),
            )
            cfg.optim_wrapper = dict(
                constructor='OptimWrapperConstructor',
                **optim_cfg(type='AmpOptimWrapper', dtype=dtype),
            )
            cfg.custom_hooks = [dict(type='StateHook')]

        return change

    @pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
    def test_is_exact(self, build_runner, dtype):
        """Pools included, which are full by then."""
        options = {'train_cfg.max_iters': 6}
        whole = build_runner('gan', options, edit=self.edit(dtype))
        whole.train()
        half = build_runner(
            'gan', {'train_cfg.max_iters': 4}, edit=self.edit(dtype)
        )
        half.train()
        resumed = build_runner(
            'gan',
            {**options, 'resume': True, 'load_from': None},
            work_dir=half.work_dir,
            edit=self.edit(dtype),
        )
        assert not len(resumed.model.pool_a.images)
        resumed.train()
        assert resumed.iter == 6
        state = resumed.model.state_dict()
        assert int(state['pool_a.count']) == 6
        assert state['pool_a.images'].shape == (6, 1, 8, 8)
        for name, value in whole.model.state_dict().items():
            assert torch.equal(state[name], value), name
