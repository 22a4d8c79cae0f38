import pytest

from mmamp.distributed.ranks import check_launcher
from mmamp.errors import UsageError


@pytest.mark.parametrize(
    ('launcher', 'variable', 'script'),
    [
        ('pytorch', 'RANK', 'tools/dist_train.sh'),
        ('slurm', 'SLURM_PROCID', 'tools/slurm_train.sh'),
    ],
)
def test_who_has_started_this_process(launcher, variable, script, monkeypatch):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=f'no {variable} .*{script}'):
        check_launcher(launcher)
    monkeypatch.setenv(variable, '1')
    check_launcher(launcher)


def test_nobody():
    check_launcher('none')
