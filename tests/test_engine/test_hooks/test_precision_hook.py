import re
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmamp.engine.hooks import PrecisionHook
from mmamp.precision.islands import islands
from mmamp.registry import MODELS


def hook(*rules):
    return {
        'custom_hooks': [dict(type='PrecisionHook', rules=list(rules))],
        'train_cfg.max_iters': 2,
    }


def watch(model, names):
    """The dtype that each module computes in, as its output shows."""
    seen = {}

    def note(name):
        def forward_hook(module, args, output):
            seen.setdefault(name, output.dtype)

        return forward_hook

    for name in names:
        model.get_submodule(name).register_forward_hook(note(name))
    return seen


def convolutions(model, network):
    return [
        f'{network}.{name}'
        for name, module in model.get_submodule(network).named_modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
    ]


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_islands_in_a_run(build_runner, dtype):
    low = getattr(torch, dtype)
    options = hook(dict(pattern=r'generator\..*'))
    for name in ('generator', 'discriminator'):
        options[f'optim_wrapper.{name}.dtype'] = dtype
    runner = build_runner('gan', options)
    convs = [
        name
        for network in ('generator', 'discriminator')
        for name in convolutions(runner.model, network)
    ]
    seen = watch(runner.model, convs)
    runner.train()
    assert len(seen) == len(convs) > 2
    for name, found in seen.items():
        expected = torch.float32 if name.startswith('generator') else low
        assert found is expected, name


def test_the_first_rule_holds_and_the_table_tells(build_runner, capfd):
    runner = build_runner(
        'gan',
        {
            **hook(
                'normalisation',
                dict(pattern=r'discriminator\..*', dtype=None, clamp=256),
            ),
            'log_level': 'INFO',
        },
    )
    runner.train()
    found = runner._hooks
    rules = next(h for h in found if isinstance(h, PrecisionHook)).rules
    norms, clamped = (set(r.matched) for r in rules)
    assert norms
    assert not norms & clamped
    for name, module in runner.model.named_modules():
        assert (name in norms) == isinstance(module, nn.BatchNorm2d)
    text = ''.join(capfd.readouterr())
    assert 'Precision by module' in text
    assert 'normalisation' in text
    assert '256' in text


def test_the_averaged_generator_follows(build_runner):
    options = hook(dict(pattern=r'generator\..*', dtype='bfloat16'))
    options['model.ema_config'] = dict(momentum=0.1)
    runner = build_runner('gan', options)
    runner.train()
    for name, module in runner.model.named_modules():
        inside = name.startswith(('generator.', 'generator_ema.module.'))
        assert bool(islands(module)) == inside, name


def test_in_evaluation_as_in_training(build_runner):
    runner = build_runner(
        'gan', hook(dict(pattern=r'generator\..*', dtype='bfloat16'))
    )
    runner.train()
    convs = convolutions(runner.model, 'generator')
    seen = watch(runner.model, convs)
    with torch.no_grad():
        runner.model.sample(2)
    assert set(seen.values()) == {torch.bfloat16}
    assert set(seen) == set(convs)


def test_two_trainings_install_once(build_runner):
    runner = build_runner('gan', hook('normalisation'))
    runner.train()
    runner.call_hook('before_run')
    for module in runner.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert len(islands(module)) == 1


def test_names_are_without_those_of_model_wrappers(build_runner, tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    try:
        runner = build_runner('gan', hook(dict(pattern=r'generator\..*')))
        model = runner.model
        model.generator = DistributedDataParallel(model.generator)
        runner.call_hook('before_run')
        first = next(model.generator.module.children())
        assert islands(first)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ('rule', 'match'),
    [
        (dict(pattern='discriminater'), "'discriminater'.*discriminator"),
        (
            'spectral_norm',
            "'spectral_norm' finds nothing in this model: leave",
        ),
        ('to_rgb', "'to_rgb' finds nothing in this model: leave"),
    ],
)
def test_a_rule_that_matches_nothing(build_runner, rule, match):
    runner = build_runner('gan', hook(rule))
    with pytest.raises(ValueError, match=match):
        runner.train()


def test_float16_without_a_loss_scale_is_warned_about(build_runner, capfd):
    options = hook(dict(pattern='network', dtype='float16'))
    options['optim_wrapper.dtype'] = 'bfloat16'
    build_runner('classifier', options).train()
    assert 'no optimizer has a loss scale' in ''.join(capfd.readouterr())


def test_in_a_float32_run_it_says_that_it_changes_nothing(build_runner, capfd):
    given = {**hook('normalisation'), 'log_level': 'INFO'}
    for name in ('generator', 'discriminator'):
        given[f'optim_wrapper.{name}.dtype'] = 'float32'
    build_runner('gan', given).train()
    text = ''.join(capfd.readouterr())
    assert 'normalisation would be in float32 anyway' in text


def test_a_rule_beside_that_of_the_spectral_norm(build_runner):
    """On the layer whose weight it is: both hold."""

    given = hook(
        'spectral_norm', dict(pattern=r'discriminator\..*', clamp=0.5)
    )
    runner = build_runner('gan', given)
    conv = next(
        module
        for module in runner.model.discriminator.modules()
        if isinstance(module, nn.Conv2d)
    )
    nn.utils.spectral_norm(conv)
    runner.train()
    found = next(h for h in runner.hooks if isinstance(h, PrecisionHook))
    by_norm, by_pattern = (set(rule.matched) for rule in found.rules)
    assert len(by_norm) == 1
    assert by_norm < by_pattern


def test_a_pattern_that_matches_nothing_says_why(build_runner):
    first = build_runner('gan', hook('to_rgb'))
    with pytest.raises(ValueError, match="'to_rgb' finds nothing"):
        first.train()


def test_near_names_come_once(build_runner):
    """A generator's average has the generator's names too."""
    options = hook(dict(pattern=r'generator\.layer'))
    options['model.ema_config'] = dict(momentum=0.9)
    with pytest.raises(ValueError, match='matches no module') as error:
        build_runner('gan', options).train()
    for part in re.findall(
        '(?:Near it: |are )([^:]*?)(?:\\. |$)', str(error.value)
    ):
        names = part.split(', ')
        assert len(names) == len(set(names)) > 1


def test_a_rule_under_earlier_ones_is_told(build_runner):
    runner = build_runner('gan', hook(dict(pattern='.*'), 'normalisation'))
    runner.train()
    (log,) = Path(runner.work_dir).glob('*/*.log')
    assert (
        "WARNING - PrecisionHook: rule 'normalisation' has no effect: earlier "
        'rules hold for every module that it matches'
    ) in log.read_text()


class Uses(BaseModel):
    """Modules whose forward nobody calls, in the ways that toolboxes have."""

    def __init__(self):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.ModuleDict(dict(fc=nn.Linear(8, 8)))
        self.tied = nn.Linear(8, 8)
        self.idle = nn.Linear(8, 8)
        self.other = nn.Sequential(nn.Linear(8, 8))
        self.judge = torch.jit.script(nn.Sequential(nn.Linear(8, 8)))

    def forward(self, inputs):
        x = inputs.flatten(2).mean(1)[..., :8]
        x = self.attention(x, x, x)[0]
        x = self.judge(self.head['fc'](x))
        return nn.functional.linear(x, self.tied.weight)

    def train_step(self, data, optim_wrapper):
        batch = self.data_preprocessor(data, True)
        with optim_wrapper.optim_context(self):
            loss = self(batch['inputs'][:, None]).float().square().mean()
        optim_wrapper.update_params(loss)
        return dict(loss=loss)


MODELS.register_module(module=Uses, force=True)


def uses(build_runner, *rules):
    runner = build_runner(
        'classifier',
        {'model': dict(type='Uses', _delete_=True), **hook(*rules)},
        edit=lambda cfg: cfg.update(model=dict(type='Uses')),
    )
    runner.train()
    (log,) = Path(runner.work_dir).glob('*/*.log')
    return runner, log.read_text()


@pytest.mark.parametrize(
    ('pattern', 'module', 'instead'),
    [
        (r'attention\.out_proj', 'attention.out_proj', "'attention'"),
        ('tied', 'tied', "''"),
    ],
)
def test_a_module_that_is_used_but_not_called(
    build_runner, pattern, module, instead
):
    _, log = uses(build_runner, dict(pattern=pattern))
    said = [x for x in log.splitlines() if 'does nothing for' in x]
    (line,) = said
    assert 'WARNING' in line
    assert f'does nothing for {module!r}' in line
    assert f'dict(pattern={instead})' in line


@pytest.mark.parametrize(
    'pattern',
    [
        'attention|head.fc|judge',
        'attention.*',
        'head',  # whose inside is called
        'head.*',
        '.*',
    ],
)
def test_what_is_called_or_covered_is_not_told(build_runner, pattern):
    runner, log = uses(build_runner, dict(pattern=pattern))
    assert 'does nothing for' not in log
    for param in runner.model.parameters():
        assert not param._post_accumulate_grad_hooks


def test_a_clamp_is_nobody_elses(build_runner):
    _, log = uses(build_runner, dict(pattern='attention.*', clamp=1.0))
    assert "does nothing for 'attention.out_proj'" in log
    _, log = uses(build_runner, dict(pattern='head', clamp=1.0))
    assert "has its dtype in 'head', but no output_dtype or clamp" in log
    assert r"dict(pattern='head\\..*')" in log


def test_what_nothing_reached_is_told(build_runner):
    _, log = uses(
        build_runner, dict(pattern='idle'), dict(pattern='head|tied|other.*')
    )
    said = [x for x in log.splitlines() if 'has done nothing for' in x]
    assert [x.partition('PrecisionHook: ')[2] for x in said] == [
        "rule 'idle' has done nothing for idle: nothing in the first "
        'iteration called it',
        "rule 'head|tied|other.*' has done nothing for other: nothing in the "
        'first iteration called it',
    ]


class Head(nn.Module):
    """Reached by its methods alone, as heads of toolboxes are."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.norm = nn.LayerNorm(8)
        self.shared = None

    def loss(self, x):
        return self.norm(self.layers(self.shared(x))).float().square().mean()


class Headed(BaseModel):
    def __init__(self):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.head, self.neck = Head(), nn.Linear(8, 8)
        self.head.shared = self.neck

    def forward(self, inputs):
        return self.head.loss(self.neck(inputs.flatten(2).mean(1)[..., :8]))

    train_step = Uses.train_step


MODELS.register_module(module=Headed, force=True)


@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
def test_a_rule_holds_whatever_method_was_called(build_runner, dtype):
    runner = build_runner(
        'classifier',
        {**hook(dict(pattern='head', dtype=dtype)), 'log_level': 'INFO'},
        edit=lambda cfg: cfg.update(model=dict(type='Headed')),
    )
    names = ['head.layers', 'head.layers.0', 'head.norm', 'neck']
    seen = watch(runner.model, names)
    runner.train()
    low = runner.optim_wrapper.cast_dtype
    chosen = getattr(torch, dtype)
    assert seen == {
        'head.layers': chosen,
        'head.layers.0': chosen,
        'head.norm': chosen,
        # Not the head's alone.
        'neck': low,
    }
    (log,) = Path(runner.work_dir).glob('*/*.log')
    row = next(x for x in log.read_text().splitlines() if '│ head' in x)
    assert row.split('│')[3].strip() == dtype
    assert row.split('│')[7].strip() == '1'


def test_a_scripted_module_is_under_a_rule_as_a_whole(build_runner):
    runner, _ = uses(build_runner, dict(pattern='judge.*'))
    (found,) = (x for x in runner.hooks if isinstance(x, PrecisionHook))
    assert found.rules[0].matched == ['judge']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert runner.model.judge(torch.ones(1, 8)).dtype is torch.float32
    with pytest.raises(ValueError, match='matches no module'):
        uses(build_runner, dict(pattern=r'judge\.0'))
