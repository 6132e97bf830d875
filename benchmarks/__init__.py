"""Speed and accuracy measured against named references; `python -m benchmarks` runs them all."""
