"""Soup: several networks fine-tuned from the same one, averaged; what they were fine-tuned for may differ.

The mean of weights that began alike answers like the mean of their answers, at the cost of one (Wortsman et al. 2022,
"Model soups"), and mixing in what they began from keeps what that knew (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models"). Tones begin from nothing and can't be averaged so; they are put side by side in one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from harmovid.errors import OptionError
from harmovid.model.checkpoint import Model
from harmovid.model.tone import Tone, ToneConfig


def averaged(models: Sequence[Model], shares: Sequence[float], rise: float = 0.0) -> Model:
    """A model whose transformer is the mean of others', and whose tone answers the mean of theirs.

    Args:
        models: with transformers of one kind, and one codec; codec and preset are the first one's.
        shares: of each; sum 1.
        rise: of the new tone (`ToneConfig`).

    Raises:
        OptionError: other shares than models, or they do not sum to 1; transformers differ; some have a tone, others
            none.
    """
    if len(shares) != len(models) or abs(sum(shares) - 1) > 1e-6:
        raise OptionError(f"{len(models)} models need as many shares that sum to 1, got {', '.join(map(str, shares))}")
    first = models[0]
    if any(_kind(model) != _kind(first) for model in models):
        raise OptionError("the models are of different presets; only what is of one size, and was told the same, can "
                          "be averaged")
    tones = [model.tone for model in models if model.tone is not None]
    if tones and len(tones) < len(models):
        raise OptionError("some of the models have a tone, others none; average those that agree")
    tone = joined(tones, shares, rise) if tones else None
    backbone = copy.deepcopy(first.backbone)
    parts = [model.backbone.state_dict() for model in models]
    weights = torch.tensor(shares, dtype=torch.float64)
    backbone.load_state_dict({
        name: torch.tensordot(weights, torch.stack([part[name].double() for part in parts]), 1).to(value)
        for name, value in parts[0].items()})
    preset = first.preset if tone is None else replace(first.preset, tone=tone.config)
    return replace(first, preset=preset, backbone=backbone, tone=tone)


def joined(tones: Sequence[Tone], shares: Sequence[float], rise: float = 0.0) -> Tone:
    """One tone of all their blocks, which answers their mean, each by its share; `rise` takes the place of theirs.

    Palettes are bounded at four of the first one's standard deviations, for all.

    Raises:
        OptionError: their blocks differ in width.
    """
    first = tones[0]
    blocks = sum(tone.config.blocks for tone in tones)
    width = sum(tone.config.width for tone in tones)
    if any(tone.config.width * blocks != width * tone.config.blocks for tone in tones):
        raise OptionError("tones of widths " + ", ".join(str(tone.config.width // tone.config.blocks) for tone in tones)
                          + " cannot be put side by side; train them with one preset.tone.width")
    made = Tone(ToneConfig(width, rise, blocks))
    with torch.no_grad():
        made.centre.copy_(first.centre)
        made.spread.copy_(first.spread)
        made.size.copy_(first.size)
        into_all, across_all, out_all = _linears(made)
        begin = 0
        for tone, share in zip(tones, shares, strict=True):
            some = slice(begin, begin + tone.config.width)
            into, across, out = _linears(tone)
            # In units of the first one's standardized palettes, and of its sizes of changes.
            into_all.weight[some] = into.weight * (first.spread / tone.spread)
            into_all.bias[some] = into.bias + into.weight @ ((first.centre - tone.centre) / tone.spread)
            across_all.weight[some], across_all.bias[some] = across.weight, across.bias
            scale = share * tone.size / first.size
            out_all.weight[:, some] = out.weight * scale[:, None]
            out_all.bias.add_(out.bias * scale)
            begin = some.stop
    return made.eval()


def _kind(model: Model) -> tuple[object, ...]:
    """What must be the same for weights to mean the same."""
    preset = model.preset
    return preset.transformer, preset.schedule, preset.codec, preset.background


def _linears(tone: Tone) -> list[nn.Linear]:
    return [layer for layer in tone.layers if isinstance(layer, nn.Linear)]
