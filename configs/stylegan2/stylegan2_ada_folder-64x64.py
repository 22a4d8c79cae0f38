# StyleGAN2-ADA on a folder of yours, for a few hundred to some ten thousand
# pictures: give it by --cfg-options data_root=DIR. Float32 as it stands; add
# --amp.
_base_ = './stylegan2_folder-64x64.py'

model = dict(augment=dict(type='ADA', target=0.6))
