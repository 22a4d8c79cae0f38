# StyleGAN2-ADA on scikit-learn's digits, of which there are few: what the
# discriminator sees is augmented as much as it overfits. Float32 as it stands;
# add --amp.
_base_ = './stylegan2_digits-32x32.py'

# In a short run p has to be quick: from 0 to 1 in 20,000 images, and not in
# the paper's 500,000. A digit that is turned or seen in a mirror is none, but
# the generator learns none of that: p stays below 1.
model = dict(augment=dict(type='ADA', target=0.6, ada_kimg=20))
