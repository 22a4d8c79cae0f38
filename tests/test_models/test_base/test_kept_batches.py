import pytest
import torch

from mmamp.models.base.kept_batches import KeptBatches


def batch(*samples):
    images = torch.tensor(samples, dtype=torch.float32)
    labels = dict(gt_label=images.int(), name=None)
    return dict(inputs=images, data_samples=labels)


def kept(*batches):
    result = KeptBatches()
    for each in batches:
        result.add(each)
    return result


def samples(batches, num):
    for i in range(num):
        labels = batches[i]['data_samples']
        assert labels['gt_label'].tolist() == batches[i]['inputs'].tolist()
        assert labels['name'] is None
    return [batches[i]['inputs'].tolist() for i in range(num)]


def test_come_again_after_the_last():
    assert samples(kept(batch(1), batch(2)), 3) == [[1], [2], [1]]


def test_of_another_run_are_let_go_of():
    batches = kept(batch(1), batch(2))
    batches.begin()
    batches.add(batch(3))
    assert samples(batches, 2) == [[3], [3]]
    batches.load([batches.state()], 'cpu')
    batches.begin()
    assert samples(batches, 1) == [[3]]


def test_are_let_go_of():
    batches = kept(batch(1))
    batches.clear()
    batches.add(batch(5))
    assert samples(batches, 2) == [[5], [5]]
    assert len(batches.state()) == 1


@pytest.mark.parametrize('rank', [0, 1])
def test_a_rank_takes_its_own(rank, as_rank):
    states = [
        kept(batch(1, 3), batch(5, 7)).state(),
        kept(batch(2, 4), batch(6, 8)).state(),
    ]
    batches = KeptBatches()
    with as_rank(rank, 2):
        batches.load(states, 'cpu')
    assert samples(batches, 2) == [[1 + rank, 3 + rank], [5 + rank, 7 + rank]]


def test_one_process_takes_those_of_two():
    states = [kept(batch(1, 3)).state(), kept(batch(2, 4)).state()]
    batches = KeptBatches()
    batches.load(states, 'cpu')
    assert samples(batches, 1) == [[1, 2, 3, 4]]


def test_two_share_those_of_one(as_rank):
    found = []
    for rank in range(2):
        batches = KeptBatches()
        with as_rank(rank, 2):
            batches.load([kept(batch(1, 2, 3, 4)).state()], 'cpu')
        found += samples(batches, 1)
    assert found == [[1, 3], [2, 4]]


PIX2PIX = dict(
    type='Pix2Pix',
    generator=dict(
        type='UNetGenerator',
        in_channels=1,
        out_channels=1,
        base_channels=2,
        num_downs=3,
    ),
    discriminator=dict(
        type='PatchDiscriminator',
        in_channels=2,
        base_channels=2,
        num_layers=1,
    ),
)


def test_a_run_that_stopped_inside_of_a_cycle_is_exact(build_runner):
    """The generator's turn is on all three batches, before the stop too."""

    def edit(cfg):
        cfg.model = PIX2PIX
        for name in ('generator', 'discriminator'):
            cfg.optim_wrapper[name].accumulative_counts = 3
        cfg.train_dataloader.dataset.pipeline = [
            dict(type='Resize', scale=(16, 16)),
            dict(type='Edges'),
            dict(type='PackImage'),
        ]
        cfg.custom_hooks = [dict(type='StateHook')]
        cfg.default_hooks.checkpoint.interval = 5

    def state(runner):
        return runner.model.state_dict()

    options = {'train_cfg.max_iters': 6}
    whole = build_runner('gan', options, None, edit)
    whole.train()
    saved = f'{whole.work_dir}/iter_5.pth'
    found = torch.load(saved, weights_only=True)['model_by_rank']
    assert [len(batches) for batches in found] == [2]
    resumed = build_runner(
        'gan', {**options, 'resume': True, 'load_from': saved}, None, edit
    )
    resumed.train()
    for name, value in state(whole).items():
        assert torch.equal(state(resumed)[name], value), name
