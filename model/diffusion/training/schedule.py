"""Step sizes and averages of training: closed forms in the step number, so that resuming needs no state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LearningRate:
    """Warm-up, then inverse square root from `hold` steps on, then an optional linear cool-down to zero."""

    peak: float = 8e-4
    warmup: int = 300
    hold: int = 4000

    def at(self, step: int, cooldown: float = 1.0) -> float:
        """Learning rate at `step`; `cooldown` is the share of the cool-down still ahead (1 outside it)."""
        rising = min(1.0, (step + 1) / self.warmup)
        falling = (self.hold / max(step, self.hold)) ** 0.5
        return self.peak * rising * falling * cooldown


def ema_decay(step: int, width: float = 0.05) -> float:
    """Decay of a power-law average whose memory is about `width` of the training so far (Karras et al. 2024)."""
    return max(0.0, 1 - 1 / (width * (step + 1))) if step * width > 1 else 0.0


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Average ← decay · average + (1 − decay) · module, buffers copied."""
    state = module.state_dict()
    for name, value in average.state_dict().items():
        _blend(value, state[name].detach(), decay)


def _blend(value: Tensor, new: Tensor, decay: float) -> None:
    if value.dtype.is_floating_point:
        value.lerp_(new.to(value.dtype), 1 - decay)
    else:
        value.copy_(new)
