# DCGAN with DiffAugment on scikit-learn's digits. Float32 as it stands; add
# --amp.
_base_ = './dcgan_digits-32x32.py'

model = dict(
    augment=dict(type='DiffAugment', policy=['color', 'translation', 'cutout'])
)
