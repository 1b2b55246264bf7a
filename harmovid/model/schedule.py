"""The noise schedule: how much of the picture is left at each step, and what the network is asked for.

    x_t = a_t · x0 + s_t · noise,    a_t = √ᾱ_t,    s_t = √(1 − ᾱ_t)

The tables are those of diffusers' `CogVideoXDDIMScheduler`. Its stepping is not: it takes the step before t to be
t − 1000 // n, which is wrong for each n that does not divide 1000; here a sampler names both steps itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from harmovid.errors import InputError, OptionError

_LEAST_SIGNAL = 0.05  # an error of the predicted noise comes into x0 divided by the signal: twentyfold at most


@dataclass(frozen=True)
class ScheduleConfig:
    """Which noise schedule.

    prediction: what the network predicts; v = a·noise − s·x0 (Salimans and Ho 2022, "Progressive Distillation",
        arXiv 2202.00512), or the noise itself (epsilon).
    snr_shift: the ratio of signal to noise, in power, is divided by this.
    zero_terminal: the last step is pure noise (Lin et al. 2023, arXiv 2305.08891).
    steps: of training.
    beta_start, beta_end: of the scaled-linear schedule (their square roots are spaced evenly).
    """

    prediction: Literal["v_prediction", "epsilon"] = "v_prediction"
    snr_shift: float = 1.0
    zero_terminal: bool = True
    steps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.0120

    @classmethod
    def from_diffusers(cls, values: Mapping[str, Any]) -> ScheduleConfig:
        """Read the settings of a CogVideoX scheduler (``scheduler/scheduler_config.json``).

        Raises:
            InputError: a schedule of another kind.
        """
        for name, known in (("beta_schedule", ["scaled_linear"]), ("trained_betas", [None]),
                            ("set_alpha_to_one", [True]), ("prediction_type", ["v_prediction", "epsilon"])):
            if values.get(name, known[0]) not in known:
                raise InputError(f"the checkpoint's scheduler has {name} = {values[name]!r}; supported here: "
                                 f"{', '.join(map(repr, known))}")
        return cls(
            # What is absent has diffusers' default, which is not always ours.
            prediction=values.get("prediction_type", "epsilon"),
            snr_shift=float(values.get("snr_shift_scale", 3.0)),
            zero_terminal=bool(values.get("rescale_betas_zero_snr", False)),
            steps=int(values.get("num_train_timesteps", 1000)),
            beta_start=float(values.get("beta_start", 0.00085)),
            beta_end=float(values.get("beta_end", 0.0120)),
        )

    def to_diffusers(self) -> dict[str, Any]:
        """The same under the names of diffusers' CogVideoX schedulers."""
        return {"prediction_type": self.prediction, "snr_shift_scale": self.snr_shift,
                "rescale_betas_zero_snr": self.zero_terminal, "num_train_timesteps": self.steps,
                "beta_start": self.beta_start, "beta_end": self.beta_end, "beta_schedule": "scaled_linear",
                "timestep_spacing": "trailing", "clip_sample": False, "set_alpha_to_one": True}


class Schedule:
    """The tables, and the arithmetic between x0, noise, x_t and prediction.

    Every `t` is an int, or (B,) long, of 0 … steps − 1, or −1, which is the clean end (ᾱ = 1): so a deterministic
    (DDIM) step from t to s is ``add_noise(to_x0(p, x, t), to_noise(p, x, t), s)``.
    Tensors are (B, …) of one shape; the result has their dtype and device.

    alphas_cumprod: (steps,) float64, ᾱ.
    last: the step that sampling starts from. With epsilon and zero terminal signal the last steps say nothing of
        x0 (their noise is all there is to see), so sampling starts where a twentieth of the signal is left.
    """

    def __init__(self, config: ScheduleConfig) -> None:
        self.config = config
        betas = torch.linspace(config.beta_start**0.5, config.beta_end**0.5, config.steps, dtype=torch.float64) ** 2
        kept = torch.cumprod(1 - betas, 0)  # (steps,)
        kept = kept / (config.snr_shift + (1 - config.snr_shift) * kept)  # (steps,): signal / noise by snr_shift
        if config.zero_terminal:
            root = kept.sqrt()  # (steps,)
            kept = ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2  # (steps,): root[0] stays, the last is 0
        self.alphas_cumprod = kept
        self._table = torch.cat([kept, kept.new_ones(1)])  # (steps + 1,): index −1 is the clean end
        self.last = config.steps - 1
        if config.prediction == "epsilon":
            self.last = int((kept.sqrt() >= _LEAST_SIGNAL).sum()) - 1

    def to(self, device: torch.device | str) -> Schedule:
        """Keep the table on `device`; without it, each call copies it there."""
        self._table = self._table.to(device)
        return self

    def timesteps(self, n: int) -> Tensor:
        """(n,) long, falling from `last`, spaced evenly and trailing; the step after the final one is −1.

        Raises:
            OptionError: n is not among 1 … last + 1.
        """
        if not 1 <= n <= self.last + 1:
            raise OptionError(f"sampling takes 1 to {self.last + 1} steps, got {n}")
        return torch.tensor([round((self.last + 1) * (n - i) / n) - 1 for i in range(n)])  # (n,)

    def levels(self, t: Tensor | int, like: Tensor) -> tuple[Tensor, Tensor]:
        """a_t and s_t, each (B, 1, …) or (1, …), to be multiplied with `like`."""
        if isinstance(t, int):
            assert -1 <= t < self.config.steps, f"step {t} of {self.config.steps}"
        index = torch.as_tensor(t, device=like.device).reshape(-1)  # (B,) or (1,)
        kept = self._table.to(like.device)[index].reshape(-1, *[1] * (like.ndim - 1))  # (B, 1, …)
        return kept.sqrt().to(like.dtype), (1 - kept).sqrt().to(like.dtype)

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor | int) -> Tensor:
        """x_t."""
        a, s = self.levels(t, x0)  # (B, 1, …)
        return a * x0 + s * noise  # (B, …)

    def target(self, x0: Tensor, noise: Tensor, t: Tensor | int) -> Tensor:
        """What the network should predict from x_t: v or the noise."""
        if self.config.prediction == "epsilon":
            return noise  # (B, …)
        a, s = self.levels(t, x0)  # (B, 1, …)
        return a * noise - s * x0  # (B, …)

    def to_x0(self, prediction: Tensor, noisy: Tensor, t: Tensor | int) -> Tensor:
        """The clean x0 that a prediction means.

        With epsilon, x0 = (x_t − s·noise) / a is undefined where a is 0; there, as beyond `last`, a is taken to be
        that of `last`: finite, too weak, and 0 at a = 0 for a perfect prediction.
        """
        a, s = self.levels(t, noisy)  # (B, 1, …)
        if self.config.prediction == "epsilon":
            least, _ = self.levels(self.last, noisy)  # (1, …)
            return (noisy - s * prediction) / torch.maximum(a, least)  # (B, …)
        return a * noisy - s * prediction  # (B, …)

    def to_noise(self, prediction: Tensor, noisy: Tensor, t: Tensor | int) -> Tensor:
        """The noise that a prediction means."""
        if self.config.prediction == "epsilon":
            return prediction  # (B, …)
        a, s = self.levels(t, noisy)  # (B, 1, …)
        return a * prediction + s * noisy  # (B, …)
