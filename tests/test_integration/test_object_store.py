"""Checkpoints in S3: a server, and a backend that a user has registered."""

import io
import itertools
import os
from pathlib import Path

import boto3
import pytest
import torch
from mmengine.config import Config
from moto.server import ThreadedMotoServer

from mmamp import sample, test, train
from mmamp.launcher.resume import how_to_resume
from mmamp.launcher.storage import storage_of
from mmamp.launcher.weights import find_checkpoint

OUT = 's3://models/runs'
NUMBERS = itertools.count()


@pytest.fixture(scope='module')
def server():
    """Its URL."""
    server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f'http://{host}:{port}'
    server.stop()


@pytest.fixture
def store(server, monkeypatch):
    """An empty bucket, and the environment in which boto3 finds it."""
    for name, value in (
        ('AWS_ACCESS_KEY_ID', 'me'),
        ('AWS_SECRET_ACCESS_KEY', 'secret'),
        ('AWS_DEFAULT_REGION', 'us-east-1'),
        ('AWS_ENDPOINT_URL', server),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    bucket = boto3.resource('s3').create_bucket(Bucket='models')
    yield bucket
    bucket.objects.all().delete()
    bucket.delete()


@pytest.fixture
def project(tmp_path, monkeypatch, build_runner):
    """A folder with ``config.py``; ``project(command, *arguments)``."""
    monkeypatch.chdir(tmp_path)

    def edit(cfg):
        for split in ('val', 'test'):
            cfg[f'{split}_dataloader'] = dict(
                cfg.train_dataloader,
                sampler=dict(type='DefaultSampler', shuffle=False),
            )
            cfg[f'{split}_evaluator'] = dict(type='Falling')
            cfg[f'{split}_cfg'] = dict()
        cfg.train_cfg.val_interval = 1000
        cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
        cfg.custom_imports = dict(imports=['s3_store'])
        cfg.default_hooks.checkpoint.out_dir = OUT

    Path('work').mkdir()
    cfg = build_runner('gan', edit=edit, work_dir=tmp_path / 'work').cfg
    cfg.dump('config.py')

    def run(command, *args):
        # Two runs in one second would share what MMEngine keeps by name.
        name = f'experiment_name={tmp_path.name}_{next(NUMBERS)}'
        if '--cfg-options' not in args:
            args = (*args, '--cfg-options')
        return command.main(['config.py', *map(str, args), name])

    return run


def names(bucket):
    return sorted(x.key for x in bucket.objects.all())


def content(bucket, name):
    body = bucket.Object(f'runs/work/{name}').get()['Body'].read()
    return torch.load(io.BytesIO(body), weights_only=True)


RESUME = ('--resume', '--cfg-options', 'train_cfg.max_iters=6')


@pytest.mark.parametrize(
    'async_save', [False, True], ids=['at once', 'beside training']
)
def test_a_run_and_all_that_is_done_with_it(
    store, project, capfd, tmp_path, async_save
):
    cfg = Config.fromfile('config.py')
    cfg.default_hooks.checkpoint.async_save = async_save
    cfg.dump('config.py')
    assert project(train) == 0
    assert names(store) == ['runs/work/iter_2.pth', 'runs/work/iter_4.pth']
    assert (tmp_path / 'work/last_checkpoint').read_text() == (
        f'{OUT}/work/iter_4.pth'
    )
    assert not list((tmp_path / 'work').glob('*.pth'))

    cfg = Config.fromfile('config.py')
    hint = how_to_resume(cfg, ['config.py'])
    assert f'Go on from {OUT}/work/iter_4.pth with: ' in hint

    assert project(train, *RESUME) == 0
    assert content(store, 'iter_6.pth')['meta']['iter'] == 6

    other = ('--work-dir', 'other', '--resume', f'{OUT}/work/iter_4.pth')
    assert project(train, *other, *RESUME[1:]) == 0
    assert 'runs/other/iter_6.pth' in names(store)
    # The same updates, bit for bit.
    again = boto3.resource('s3').Object('models', 'runs/other/iter_6.pth')
    again = torch.load(io.BytesIO(again.get()['Body'].read()))['state_dict']
    for name, value in content(store, 'iter_6.pth')['state_dict'].items():
        assert torch.equal(again[name], value), name

    capfd.readouterr()
    for where, name in (
        (f'{OUT}/work/iter_4.pth', 'iter_4.pth'),
        (f'{OUT}/work', 'iter_6.pth'),
        ('work', 'iter_6.pth'),
    ):
        assert find_checkpoint(where, storage_of(cfg)) == f'{OUT}/work/{name}'
        assert project(sample, where, '--num', 2, '--out', 'pictures') == 0
    assert project(test, 'work') == 0
    assert f'{OUT}/work/iter_6.pth' in capfd.readouterr().out


def test_another_machine_lists_the_store(store, project, tmp_path, capfd):
    """Its work dir is empty; the newest one was cut short."""
    more = ('--resume', '--cfg-options', 'train_cfg.max_iters=10')
    assert project(train, *more) == 0
    assert 'starts from the beginning' in capfd.readouterr().out
    (tmp_path / 'work/last_checkpoint').unlink()
    whole = store.Object('runs/work/iter_10.pth').get()['Body'].read()
    store.put_object(Key='runs/work/iter_10.pth', Body=whole[:-100])
    assert project(train, *more) == 0
    said = capfd.readouterr().out
    assert "iter_10.pth' cannot be read" in said
    assert f'from path: {OUT}/work/iter_8.pth' in said
    assert content(store, 'iter_10.pth')['meta']['iter'] == 10


def test_what_is_too_many_goes(store, project):
    more = ('max_keep_ckpts=1', 'interval=1')
    more = [f'default_hooks.checkpoint.{x}' for x in more]
    assert project(train, '--cfg-options', *more) == 0
    assert names(store) == ['runs/work/iter_4.pth']


def test_published_keys(store, project):
    keys = 'default_hooks.checkpoint.published_keys=[meta,state_dict]'
    assert project(train, '--cfg-options', keys) == 0
    (name,) = (x for x in names(store) if 'iter_4-' in x)
    found = content(store, Path(name).name)
    assert set(found) == {'meta', 'state_dict'}


def test_arguments_of_the_backend(store, project, server, monkeypatch):
    """They are the only ones to know the server."""
    monkeypatch.delenv('AWS_ENDPOINT_URL')
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')
    where = f'default_hooks.checkpoint.backend_args.endpoint_url={server}'
    assert project(train, '--cfg-options', where) == 0
    assert len(names_at(server)) == 2
    more = ('--cfg-options', where, 'train_cfg.max_iters=6')
    assert project(train, '--resume', *more) == 0
    path = f'{OUT}/work/iter_6.pth'
    assert project(test, path, *more) == 0
    assert project(sample, path, '--num', 2, *more) == 0


def names_at(url):
    return names(boto3.resource('s3', endpoint_url=url).Bucket('models'))


def test_a_backend_that_only_reads_and_writes(store, project, capfd):
    """It cannot list, nor remove: what is named can be gone on from."""
    out = 'default_hooks.checkpoint.out_dir=plain://models/runs'
    assert project(train, '--cfg-options', out) == 0
    assert project(train, *RESUME, out) == 0
    keep = 'default_hooks.checkpoint.max_keep_ckpts=1'
    assert project(train, '--cfg-options', out, keep) == 2
    assert 'has no isfile, no isdir, no remove' in capfd.readouterr().err
    none = 'default_hooks.checkpoint.out_dir=gs://models/runs'
    assert project(train, '--cfg-options', none) == 2
    assert 'no file backend for gs://' in capfd.readouterr().err


@pytest.mark.parametrize(
    ('path', 'words'),
    [
        (f'{OUT}/work/iter_9.pth', 'does not exist'),
        ('s3://nowhere/iter_9.pth', 'does not exist'),
        ('gs://models/iter_9.pth', 'there is no file backend for gs://'),
        (f'{OUT}/text.pth', 'was not written by torch.save'),
        (f'{OUT}/evil.pth', 'weights_only=True'),
    ],
)
def test_what_cannot_be_read(store, project, capfd, path, words, tmp_path):
    store.put_object(Key='runs/text.pth', Body=b'text')
    torch.save(dict(state_dict=Evil()), 'evil.pth')
    store.upload_file('evil.pth', 'runs/evil.pth')
    calls = [(train, '--resume', path), (test, path), (sample, path)]
    calls.append((train, '--cfg-options', f'load_from={path}'))
    for command, *args in calls:
        assert project(command, *args) == 2
        assert words in capfd.readouterr().err.splitlines()[-1]
    assert not (tmp_path / 'ran').exists()


class Evil:
    """Runs a command when it is loaded."""

    def __reduce__(self):
        return os.system, ('touch ran',)


def test_a_store_that_does_not_answer(store, project, capfd, monkeypatch):
    """It is no run without a checkpoint, which would begin anew."""
    monkeypatch.setenv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9')
    monkeypatch.setenv('AWS_MAX_ATTEMPTS', '1')
    assert project(train, '--resume') == 2
    assert 'EndpointConnectionError' in capfd.readouterr().err
    assert project(train) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert 'could not be written' in error
