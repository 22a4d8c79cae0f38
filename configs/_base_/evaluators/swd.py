# How far generated pictures are from real ones, without a network of features.
val_evaluator = [dict(type='SWD', num_patches=16)]
test_evaluator = val_evaluator
