"""Low-rank adaptation of a transformer (Hu et al. 2021, arXiv 2106.09685): little of it is trained; the home of peft.

The attention of every block gets a product of two thin matrices beside each of its own, which stay as they are. What
the network is told enters by the patch embedding, which published weights know nothing of: that is trained whole.
"""

from __future__ import annotations

import copy

from harmovid.errors import MissingExtra
from harmovid.model.backbone import Backbone

_ADAPTED = ["to_q", "to_k", "to_v", "to_out.0"]


def adapt(backbone: Backbone, rank: int) -> None:
    """Train low ranks and the patch embedding alone, from now on; what is answered stays what it was.

    Raises:
        MissingExtra: peft is not installed.
    """
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingExtra("peft", "train", "--set stage.lora") from error
    backbone.requires_grad_(False)
    backbone.transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=_ADAPTED))
    backbone.transformer.patch_embed.proj.requires_grad_(True)


def merged(backbone: Backbone) -> Backbone:
    """A copy that answers the same, its low ranks added to the weights that they stood beside."""
    made = copy.deepcopy(backbone)
    made.transformer.fuse_lora()
    made.transformer.unload_lora()
    return made
