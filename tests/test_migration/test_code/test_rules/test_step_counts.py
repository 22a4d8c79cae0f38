import libcst as cst

from mmamp.migration.code.notes import Notes
from mmamp.migration.code.rules import step_counts as rule


def test_they_are_named():
    module = cst.parse_module(
        "n = cfg.get('disc_steps', 1)\n"
        "m = cfg['batch_accumulation_steps']\n"
        'disc_steps = f"disc_steps"\n'
    )
    notes = Notes(module)
    assert rule.apply(module, notes) is module
    assert [(x.line, x.outcome.name) for x in notes.findings] == [
        (1, 'WARNED'),
        (2, 'WARNED'),
    ]
    assert 'discriminator_steps' in notes.findings[0].reason
