"""The joint denoiser of EBSD and polarized light: network, Bayes gate, training and sampling.

Everything that needs torch lives below this package. Physics and geometry come from `model.crystal` and `model.light`.
"""
