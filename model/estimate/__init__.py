"""What is read off a posterior: samples of the whole map, calibrated claims, and scores of them against a truth.

Where the probabilities come from is the business of `model.reconstruct` and `model.diffusion`.
"""
