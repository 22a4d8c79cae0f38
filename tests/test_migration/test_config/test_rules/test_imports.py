"""``custom_imports``."""

FP16 = """
optimizer = dict(type='SGD', lr=1)
fp16 = dict(loss_scale=512.)
"""


def test_added_to_what_is_there(migrated):
    after = migrated.after(
        "custom_imports = dict(imports=['mine'], allow_failed_imports=True)\n"
        + FP16
    )
    assert "imports=['mine', 'mmamp'], allow_failed_imports=True" in after


def test_one_that_is_a_text(migrated):
    after = migrated.after(f"custom_imports = dict(imports='mine')\n{FP16}")
    assert "imports=['mine', 'mmamp']" in after


def test_inherited(migrated):
    after = migrated.after(
        f"_base_ = 'base.py'\n{FP16}",
        base="custom_imports = dict(imports=['mine'])\n",
    )
    assert "custom_imports = dict(imports=['mine', 'mmamp'])" in after


def test_no_need(migrated):
    after = migrated.after("optimizer = dict(type='SGD', lr=1)\n")
    assert 'custom_imports' not in after


def test_not_in_a_part_of_configs(migrated, tmp_path):
    part = tmp_path / '_base_'
    part.mkdir()
    migrated.folder = part
    assert 'custom_imports' not in migrated.after(FP16)
    child = "_base_ = './_base_/config.py'\ntotal_iters = 3\n"
    migrated.folder = tmp_path
    assert 'custom_imports' in migrated.after(child)
