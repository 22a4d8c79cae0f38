# As super-resolution is measured: luminance alone, without a border of the
# scale's width.
val_evaluator = [
    dict(type='PSNR', crop_border=4, convert_to='Y'),
    dict(type='SSIM', crop_border=4, convert_to='Y'),
]
test_evaluator = val_evaluator
