"""The denoiser asked for maps and posterior samples; reference samplers for comparison are in `reference`."""
