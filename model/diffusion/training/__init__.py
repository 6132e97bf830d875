"""How a denoiser comes about: examples, losses, steps, validation, and what a training leaves behind."""
