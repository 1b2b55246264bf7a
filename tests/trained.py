"""Networks that were trained, two steps of each, as the command line trains them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import Result

from harmovid.data import shards
from harmovid.data.shards import Shard, ShardInfo
from tests import commands
from tests.odd import draw

# A network so small that two steps of it take no time.
SMALL = ("--set preset.view.area=1024 --set loop.steps=2 --set loop.log_every=1 "
         "--set preset.codec.fine=8 --set preset.codec.frame=8 --set preset.codec.coarse=16 "
         "--set stage.lengths=[[1,2,0.5],[5,1,0.5]] "
         "--set preset.transformer.num_layers=1 --set preset.transformer.num_attention_heads=1 "
         "--set preset.tone.width=8")
TONE = ("--set loop.steps=2 --set loop.log_every=1 --set preset.tone.width=8 --set stage.batch=2 "
        "--set stage.area=1024")


def invoke(arguments: str | list[str], status: int = 0) -> Result:
    """As `commands.invoke`; nothing is printed on standard output."""
    result = commands.invoke(arguments, status)
    assert result.stdout == ""
    return result


def train(folder: Path) -> None:
    """Write data/{train,validation}, and train on it codec/, tone/ and net/, a harmonizer."""
    for where, names in (("train", ("clip", "photo")), ("validation", ("held",))):
        (folder / "data" / where).mkdir(parents=True)
        for name in names:
            count = 1 if name == "photo" else 6
            picture, mask = (np.stack([draw(what, t) for t in range(count)]) for what in ("person", "mask"))
            info = ShardInfo(name, name, where, count, picture.shape[1:3])
            overview = np.zeros((-(-count // 4), 64, 64, 3), np.uint8)
            shards.write(folder / "data" / where / f"{name}.zip",
                         Shard(info, picture, mask[..., 0], picture[:, :, ::-1].copy(), overview))
    invoke(f"train codec --data {folder}/data -o {folder}/codec --seed 3 {SMALL}")
    invoke(f"train tone --data {folder}/data -o {folder}/tone {TONE}")
    invoke(f"train harmonize --data {folder}/data -o {folder}/net --codec {folder}/codec/model "
           f"--tone {folder}/tone/model {SMALL}")
