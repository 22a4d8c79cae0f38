"""What every GAN is made of: the loop, and who trains when."""
