import logging

from mmengine.logging import MMLogger, print_log

from mmamp.logging.early_log import EarlyLog


def test_what_was_logged_early_is_logged_later(mm_log):
    logger = MMLogger.get_current_instance()
    with EarlyLog() as nothing:
        assert nothing is None
    early = EarlyLog()
    with early:
        print_log('at first', logger='current', level=logging.WARNING)
        assert 'at first' not in mm_log()
    print_log('then', logger='current')
    early.replay(logger)
    assert mm_log().split('\n') == ['then', 'at first']
