# As super-resolution is measured: luminance alone, without a border of the
# scale's width; and how far the patches of results are from those of real
# images, which PSNR does not see: a blurred image has a good one.
val_evaluator = [
    dict(type='PSNR', crop_border=4, convert_to='Y'),
    dict(type='SSIM', crop_border=4, convert_to='Y'),
    dict(type='SWD', real_key='gt_img'),
]
test_evaluator = val_evaluator
