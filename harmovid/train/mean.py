"""The running mean of a network's weights, which is what is validated and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class RunningMean:
    """Of what is trained of a network; it lies where the network lies, and is divided as that is.

    Args:
        decay: share of the mean that each step leaves; young, it forgets its beginning faster.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self._module = module
        # The parameters themselves: while a divided network answers, other tensors may stand in their place.
        self._trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.weights = {name: p.detach().clone() for name, p in self._trained.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are after a step."""
        kept = min(self.decay, (1 + self.count) / (10 + self.count)) if self.count else 0.0
        torch._foreach_lerp_(list(self.weights.values()), [p.detach() for p in self._trained.values()], 1 - kept)
        self.count += 1

    @contextmanager
    def shown(self) -> Iterator[nn.Module]:
        """While it lasts, the network's weights are the mean, and it is in `eval` mode."""
        was = self._module.training
        self._exchange()
        self._module.eval()
        try:
            yield self._module
        finally:
            self._exchange()
            self._module.train(was)

    def load(self, weights: Mapping[str, Tensor], count: int) -> None:
        """Go on from a mean that was kept; of a whole network, too, of which a part is trained.

        Raises:
            ValueError: it is of other weights.
        """
        if not self.weights.keys() <= weights.keys():
            raise ValueError("it is the mean of another network")
        for name, weight in self.weights.items():
            weight.copy_(weights[name])
        self.count = count

    @torch.no_grad()
    def _exchange(self) -> None:
        for mean, weight in zip(self.weights.values(), self._trained.values(), strict=True):
            held = weight.detach().clone()
            weight.copy_(mean)
            mean.copy_(held)
