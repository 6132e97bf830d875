"""What more evaluations of the network could buy: one small module per way of spending them, all called alike.

None of them is part of the default method. `benchmarks.posterior.scaling` compares them; which wins is told in
`docs/results.md`.
"""
