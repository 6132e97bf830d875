"""The joint denoiser: state, candidates, backbone, Bayes gate and heads."""
