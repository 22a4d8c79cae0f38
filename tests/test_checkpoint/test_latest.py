import os

import pytest
import torch

from mmamp.checkpoint.latest import check_checkpoint, latest_checkpoint
from mmamp.errors import UsageError


class TestCheck:
    def test_missing(self, tmp_path):
        with pytest.raises(UsageError, match='does not exist'):
            check_checkpoint(str(tmp_path / 'no.pth'))

    def test_truncated(self, tmp_path):
        path = tmp_path / 'cut.pth'
        torch.save(dict(state_dict=dict(w=torch.ones(1000))), path)
        path.write_bytes(path.read_bytes()[:-1500])
        with pytest.raises(UsageError, match='cannot be read'):
            check_checkpoint(str(path))

    def test_weights_alone(self, tmp_path):
        path = tmp_path / 'weights.pth'
        torch.save(dict(state_dict=dict(w=torch.ones(1))), path)
        with pytest.raises(UsageError, match='lacks meta, message_hub'):
            check_checkpoint(str(path))


class TestLatest:
    """What ``--resume`` goes on from."""

    @staticmethod
    def write(folder, *names, last=None):
        for i, name in enumerate(names):
            path = folder / name
            torch.save(
                dict(state_dict={}, meta=dict(iter=i), message_hub={}), path
            )
            os.utime(path, (i, i))
        if last is not None:
            (folder / 'last_checkpoint').write_text(str(folder / last))

    def test_what_last_checkpoint_names(self, tmp_path):
        self.write(tmp_path, 'iter_1.pth', 'iter_2.pth', last='iter_1.pth')
        path, meta = latest_checkpoint(str(tmp_path))
        assert path == str(tmp_path / 'iter_1.pth')
        assert meta == dict(iter=0)

    @pytest.mark.parametrize('fault', ['truncated', 'missing', 'empty'])
    def test_a_broken_one_falls_back_with_a_warning(
        self, tmp_path, fault, mm_log
    ):
        names = ['iter_1.pth', 'iter_2.pth', 'best_x_iter_3.pth']
        self.write(tmp_path, *names, last='iter_3.pth')
        newest = tmp_path / 'iter_3.pth'
        if fault == 'truncated':
            whole = (tmp_path / 'iter_2.pth').read_bytes()
            newest.write_bytes(whole[:-20])
        elif fault == 'empty':
            newest.touch()
        path, _ = latest_checkpoint(str(tmp_path))
        assert path == str(tmp_path / 'iter_2.pth')
        log = mm_log()
        assert 'iter_3.pth' in log
        assert 'trying the one before' in log

    def test_without_last_checkpoint_the_newest(self, tmp_path):
        self.write(tmp_path, 'epoch_9.pth', 'epoch_10.pth')
        path, _ = latest_checkpoint(str(tmp_path))
        assert path == str(tmp_path / 'epoch_10.pth')

    def test_an_empty_last_checkpoint_is_as_none(self, tmp_path):
        self.write(tmp_path, 'iter_5.pth')
        (tmp_path / 'last_checkpoint').touch()
        assert latest_checkpoint(str(tmp_path))[0].endswith('iter_5.pth')

    def test_none_at_all(self, tmp_path):
        assert latest_checkpoint(str(tmp_path)) is None
        assert latest_checkpoint(str(tmp_path / 'no folder')) is None

    def test_none_that_can_be_used(self, tmp_path):
        (tmp_path / 'iter_1.pth').write_bytes(b'nonsense')
        with pytest.raises(UsageError, match='none of the checkpoints'):
            latest_checkpoint(str(tmp_path))
