"""Weights on disk: checkpoints of a training, averaged weights of any of our files, and those that ship."""
