"""The model service: holds sections, reconstructs them, proposes points. Start it with `run_model_service`."""

from grainloop.model.service.service import ModelService, run_model_service

__all__ = ["ModelService", "run_model_service"]
