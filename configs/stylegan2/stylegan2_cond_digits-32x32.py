# Class-conditional StyleGAN2, as in StyleGAN2-ADA, on the ten classes of
# scikit-learn's digits. Float32 as it stands; add --amp.
_base_ = ['stylegan2_digits-32x32.py']

model = dict(
    num_classes=10,
    generator=dict(num_classes=10),
    # As many layers for the classes as the generator has for the noise.
    discriminator=dict(num_classes=10, num_mapping_layers=2),
)

custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    # One column a class.
    dict(type='SampleHook', interval=100, num_samples=80, columns=10),
]
