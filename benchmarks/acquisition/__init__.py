"""How good asking for points is: policies, shapes, drift, stopping, and the rivals."""
