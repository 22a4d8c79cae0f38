import os
import pickle
from collections import OrderedDict

import pytest
import torch
from has_fsdp2 import HAS_FSDP2, WHY
from mmengine.runner import CheckpointLoader
from torch.distributed import checkpoint as dcp

from mmamp.checkpoint.latest import check_checkpoint, latest_checkpoint
from mmamp.checkpoint.parts import (
    read_parts,
    remove_leftover_parts,
    remove_parts,
    write_parts,
)
from mmamp.checkpoint.safe_load import load_safely_only, read_checkpoint
from mmamp.compat.torch import set_versions, versions_of
from mmamp.errors import StorageError, UsageError

pytestmark = pytest.mark.skipif(not HAS_FSDP2, reason=WHY)


@pytest.fixture
def content():
    state = OrderedDict(
        weight=torch.arange(6.0).view(2, 3),
        half=torch.ones(2, dtype=torch.bfloat16),
        count=torch.tensor(3),
    )
    set_versions(state, OrderedDict(version=2))
    return dict(
        state_dict=state,
        optimizer=dict(
            state={0: dict(step=torch.tensor(2.0), sizes=(1, 2))},
            param_groups=[dict(lr=0.1, params=[0])],
        ),
        rng_states=[dict(cpu=torch.get_rng_state())],
        meta=dict(epoch=0, iter=4, seed=1),
        message_hub=dict(),
    )


@pytest.fixture
def saved(content, tmp_path):
    path = str(tmp_path / 'iter_4.dcp')
    write_parts(content, path, None)
    return path


def test_what_was_written_is_read(content, saved):
    found = read_checkpoint(saved)
    assert found.keys() == content.keys()
    for name, value in content['state_dict'].items():
        assert found['state_dict'][name].dtype == value.dtype
        assert torch.equal(found['state_dict'][name], value)
    assert versions_of(found['state_dict']) == OrderedDict(version=2)
    state = found['optimizer']['state'][0]
    assert state == dict(step=torch.tensor(2.0), sizes=(1, 2))
    assert found['optimizer']['param_groups'] == [dict(lr=0.1, params=[0])]
    rng = content['rng_states'][0]['cpu']
    assert torch.equal(found['rng_states'][0]['cpu'], rng)


def test_what_is_not_asked_for_is_not_read(content, saved):
    assert check_checkpoint(saved) == content['meta']
    found = read_checkpoint(saved, keys=['optimizer'])
    weight = found['state_dict']['weight']
    assert weight.is_meta
    assert weight.shape == (2, 3)
    assert found['optimizer']['state'][0]['step'] == 2


def test_two_tensors_of_one_name(content, tmp_path):
    content['more'] = {0: torch.ones(1), '0': torch.zeros(1)}
    with pytest.raises(UsageError, match="two tensors of one name, 'more/0'"):
        write_parts(content, str(tmp_path / 'iter_1.dcp'), None)
    assert os.listdir(tmp_path) == []


def test_a_key_with_a_slash(content, tmp_path):
    content['outline'] = {'a/b': torch.ones(2)}
    path = str(tmp_path / 'iter_1.dcp')
    write_parts(content, path, None)
    assert torch.equal(read_checkpoint(path)['outline']['a/b'], torch.ones(2))


def test_ctrl_c_stays_one(content, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    path = str(tmp_path / 'iter_1.dcp')
    monkeypatch.setattr(dcp.FileSystemWriter, 'write_data', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_parts(content, path, None)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_says_what_to_do(content, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(dcp.FileSystemWriter, 'write_data', full)
    with pytest.raises(StorageError, match='make room there') as error:
        write_parts(content, str(tmp_path / 'iter_1.dcp'), None)
    assert error.value.errno == 28
    assert str(error.value).count('could not be written') == 1
    assert os.listdir(tmp_path) == []


def test_a_home_folder(saved, monkeypatch):
    monkeypatch.setenv('HOME', os.path.dirname(saved))
    found = CheckpointLoader.load_checkpoint('~/iter_4.dcp', 'cpu')
    assert found['meta']['iter'] == 4


def test_it_is_found_beside_files(saved, tmp_path):
    """The newest is the one whose index is."""
    older = tmp_path / 'iter_2.pth'
    torch.save(read_checkpoint(saved), older)
    os.utime(older, (1, 1))
    assert latest_checkpoint(str(tmp_path))[0] == saved
    remove_parts(saved)
    assert not os.path.exists(saved)
    assert latest_checkpoint(str(tmp_path))[0] == str(older)


def test_dcp_reads_it_by_itself(content, saved):
    """Under names that tell what it is."""
    weight = torch.zeros(2, 3)
    dcp.load({'state_dict/weight': weight}, checkpoint_id=saved)
    assert torch.equal(weight, content['state_dict']['weight'])


def test_written_again_it_is_the_old_one_until_it_is_whole(
    content, saved, monkeypatch
):
    """As a kill, or a full disk, at the last moment leaves it."""
    before = read_checkpoint(saved)
    content['state_dict']['weight'] += 1
    with monkeypatch.context() as patch:
        patch.setattr(
            'mmamp.checkpoint.parts.pickle.dump',
            lambda *_: (_ for _ in ()).throw(OSError(28, 'No space')),
        )
        with pytest.raises(StorageError, match='could not be written'):
            write_parts(content, saved, None)
    assert len(os.listdir(saved)) == 2
    now = read_checkpoint(saved)['state_dict']['weight']
    assert torch.equal(now, before['state_dict']['weight'])
    write_parts(content, saved, None)
    assert len(os.listdir(saved)) == 2
    now = read_checkpoint(saved)['state_dict']['weight']
    assert torch.equal(now, content['state_dict']['weight'])


def test_what_cannot_be_written_leaves_nothing(content, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(StorageError, match='could not be written'):
        write_parts(content, str(tmp_path / 'file/iter_4.dcp'), None)
    assert os.listdir(tmp_path) == ['file']


def test_leftovers_go(saved, tmp_path, content, mm_log):
    """Of a kill: what no index names."""
    for path in (saved, str(tmp_path / 'iter_8.dcp')):
        os.makedirs(f'{path}/parts-0123abcd')
        open(f'{path}/parts-0123abcd/__0_0.distcp', 'wb').close()
    # Not mmamp's, and one whose index cannot be read.
    (tmp_path / 'scans.dcp/patient').mkdir(parents=True)
    (tmp_path / 'broken.dcp/parts-01').mkdir(parents=True)
    (tmp_path / 'broken.dcp/.metadata').write_bytes(b'')
    remove_leftover_parts(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [
        'broken.dcp',
        'iter_4.dcp',
        'scans.dcp',
    ]
    assert os.listdir(tmp_path / 'scans.dcp') == ['patient']
    assert len(os.listdir(tmp_path / 'broken.dcp')) == 2
    assert 'parts-0123abcd' not in os.listdir(saved)
    assert check_checkpoint(saved) == content['meta']
    text = mm_log()
    assert f'Removed parts in {saved}' in text
    assert f'Removed parts in {tmp_path}/iter_8.dcp' in text


def data_of(saved):
    (folder,) = [x for x in os.listdir(saved) if x != '.metadata']
    return os.path.join(saved, folder, '__0_0.distcp')


@pytest.mark.parametrize('damage', ['cut', 'gone', 'index'])
def test_what_is_cut_short_is_told(saved, damage):
    file = data_of(saved)
    if damage == 'gone':
        os.remove(file)
    else:
        target = file if damage == 'cut' else f'{saved}/.metadata'
        with open(target, 'r+b') as opened:
            opened.truncate(os.path.getsize(target) // 2)
    said = dict(
        cut='is cut short: ',
        gone='1 of its 1 files are missing, such as parts-',
        index='.metadata is cut short',
    )[damage]
    with pytest.raises(UsageError, match=said) as error:
        read_checkpoint(saved)
    assert str(error.value).count('cannot be read') == 1
    if damage != 'cut':  # which a look does not tell
        with pytest.raises(UsageError, match='cannot be read'):
            check_checkpoint(saved)


class Asks:
    """What an index has no need of; harmless."""

    def __reduce__(self):
        return os.getcwd, ()


def test_under_another_name(saved, tmp_path):
    path = os.path.join(tmp_path, 'renamed')
    os.rename(saved, path)
    load_safely_only()
    assert read_checkpoint(path)['meta']['iter'] == 4
    found = CheckpointLoader.load_checkpoint(path, 'cpu')
    assert found['meta']['iter'] == 4


def test_nothing_that_an_index_holds_is_run(saved):
    with open(f'{saved}/.metadata', 'wb') as file:
        pickle.dump(Asks(), file)
    with pytest.raises(UsageError, match=r'\.metadata holds posix\.getcwd'):
        read_parts(saved)


def test_a_folder_of_somebody_elses(tmp_path):
    path = str(tmp_path / 'theirs.dcp')
    dcp.save(dict(weight=torch.ones(2)), checkpoint_id=path)
    with pytest.raises(UsageError, match='that mmamp has not written'):
        read_checkpoint(path)


def test_a_subclass_stays_in_the_structure(tmp_path, content):
    quantised = torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8)
    content['state_dict']['quantised'] = quantised
    path = str(tmp_path / 'iter_1.dcp')
    write_parts(content, path, None)
    found = read_checkpoint(path)['state_dict']['quantised']
    assert torch.equal(found.dequantize(), torch.ones(2))
