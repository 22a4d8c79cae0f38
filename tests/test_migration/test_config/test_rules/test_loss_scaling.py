"""Losses that were told of the scaler."""


def test_they_are_told_no_more(check):
    after = check(
        """
        model = dict(
            type='GAN',
            disc_auxiliary_loss=[
                dict(
                    type='R1GradientPenalty',
                    loss_weight=80,  # 10 * 16 / 2
                    use_apex_amp=False,
                    data_info=dict(real_data='real', loss_scaler='loss_scaler'))
            ],
            gen_auxiliary_loss=dict(type='PathRegularizer'))
        """,
        """
        model = dict(
            type='GAN',
            disc_auxiliary_loss=[
                dict(
                    type='R1GradientPenalty',
                    loss_weight=80,  # 10 * 16 / 2
                    data_info=dict(real_data='real'))],
            gen_auxiliary_loss=dict(type='PathRegularizer'))
        """,
    )
    assert [x.split()[0] for x in after.said('warned')] == [
        'use_apex_amp',
        'loss_scaler',
    ]


def test_other_models_are_left(check):
    text = "model = dict(type='GAN', losses=[dict(type='L1'), {}])\n"
    assert check(text, text).result.findings == []
