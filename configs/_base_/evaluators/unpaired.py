# How far results are from the other domain (`target_img`).
val_evaluator = [dict(type='SWD', num_patches=16, real_key='target_img')]
test_evaluator = val_evaluator
