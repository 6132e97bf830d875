"""Benchmarks of reconstruction as a command: scenes with a known truth, figures of merit, tables and pictures.

`scenes` says what is measured, `given` what the methods are given of it, `figures_of_merit` how good they are. Studies
of other questions (nuisances, devices) build on these three.
"""
