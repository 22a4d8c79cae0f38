import os
import subprocess
from pathlib import Path

import pytest
import torch
from has_fsdp2 import HAS_FSDP2, WHY

from mmamp.checkpoint.parts import write_parts
from mmamp.dcp_to_pth import main

pytestmark = pytest.mark.skipif(not HAS_FSDP2, reason=WHY)

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / 'iter_4.dcp'
    content = dict(
        state_dict=dict(weight=torch.ones(2)),
        optimizer=dict(state={0: dict(step=torch.tensor(1.0))}),
        meta=dict(iter=4),
        message_hub=dict(),
    )
    write_parts(content, str(path), None)
    return path


def test_beside_the_folder(folder, capsys):
    assert main([f'{folder}/']) == 0
    file = folder.with_suffix('.pth')
    assert f'Wrote {file} (0.0 MiB)' in capsys.readouterr().out
    found = torch.load(file, weights_only=True)
    assert set(found) == {'state_dict', 'optimizer', 'meta', 'message_hub'}
    assert torch.equal(found['state_dict']['weight'], torch.ones(2))


def test_into_a_folder_and_from_another_name(folder, tmp_path):
    renamed = folder.rename(tmp_path / 'the best one')
    (tmp_path / 'out').mkdir()
    assert main([str(renamed), str(tmp_path / 'out')]) == 0
    assert (tmp_path / 'out/the best one.pth').is_file()


def test_weights_alone(folder, tmp_path):
    file = tmp_path / 'weights.pth'
    assert main([str(folder), str(file), '--weights-only']) == 0
    assert set(torch.load(file, weights_only=True)) == {'state_dict', 'meta'}


def test_mistakes(folder, tmp_path, capsys):
    assert main([str(tmp_path / 'iter_9.dcp')]) == 2
    assert "iter_9.dcp' does not exist" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert 'is no checkpoint in parts' in capsys.readouterr().err
    for target, said in [
        ('other.dcp', 'would be a folder'),
        ('no/such.pth', "there is no folder '"),
    ]:
        assert main([str(folder), str(tmp_path / target)]) == 2
        assert said in capsys.readouterr().err
    (folder / '.metadata').rename(folder / 'metadata')
    assert main([str(folder)]) == 2
    assert 'copied without hidden files' in capsys.readouterr().err
    (folder / 'metadata').rename(folder / '.metadata')
    folder.with_suffix('.pth').write_text('mine')
    assert main([str(folder)]) == 2
    assert 'is there already' in capsys.readouterr().err
    assert folder.with_suffix('.pth').read_text() == 'mine'


def test_the_script(folder, python):
    done = subprocess.run(
        [python, str(ROOT / 'tools/dcp_to_pth.py'), str(folder)],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert folder.with_suffix('.pth').is_file()
