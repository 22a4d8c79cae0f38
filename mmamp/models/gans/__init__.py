"""One file a kind of GAN."""
