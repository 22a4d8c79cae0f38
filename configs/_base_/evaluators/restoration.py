# How close results are to what was wanted (`gt_img`).
val_evaluator = [dict(type='PSNR'), dict(type='SSIM')]
test_evaluator = val_evaluator
