"""The config with the rules."""

from pathlib import Path

from mmengine.config import Config

from mmamp.report.fragment import write_fragment

ROOT = Path(__file__).parents[2]
ROW = dict(
    dtype='float16', rules=[dict(pattern=r'generator\\.x', dtype='float32')]
)


def test_what_options_changed_is_in_it(tmp_path):
    path = ROOT / 'configs/dcgan/dcgan_digits-32x32.py'
    cfg = Config.fromfile(path)
    write_fragment(tmp_path, path, cfg, ROW, whole=False)
    inherited = Config.fromfile(tmp_path / 'amp_rules.py')
    assert inherited.custom_hooks[-1].rules == ROW['rules']
    assert inherited.model == cfg.model
    cfg.train_dataloader.batch_size = 3
    write_fragment(tmp_path, path, cfg, ROW, whole=True)
    found = Config.fromfile(tmp_path / 'amp_rules.py')
    assert found.train_dataloader.batch_size == 3
    assert found.custom_hooks[-1].rules == ROW['rules']
