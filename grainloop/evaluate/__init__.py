"""Maps whose truth is known: what methods and policies make of them, and how good that is.

    sections          the map, points measured on it, PL taken of it, and what a method is given
    methods, cases    what is compared
    figures_of_merit  how good a reconstruction is, and how good what it says of itself
    runs              every case on every map, share and seed
    acquisition       whole runs played without services, curves of them, and lessons for the share of wrong pixels
    model_here        a model in this process instead of behind a socket

`grainloop bench`, `grainloop reconstruct`, the demo, training and the benchmarks stand on this.
"""
