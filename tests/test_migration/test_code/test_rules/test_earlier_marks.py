from mmamp.migration.code.rules import earlier_marks as rule


def test_marks_are_listed_again(stays, convert):
    text = """
    # TODO(mmamp migrate): the first
    import a

    def f():
        # TODO(mmamp migrate): the second
        return a
    """
    done = convert(rule, text)
    assert done.todo == [(1, 'the first'), (5, 'the second')]
    assert not done.is_changed


def test_other_comments_are_not(stays):
    stays(rule, 's = "TODO(mmamp migrate)"  # TODO: mine\n')
