"""The parts of the driver service: request limits, batches already exposed, the worker thread, loading a driver."""
