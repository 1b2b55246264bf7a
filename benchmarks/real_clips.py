"""Ten real portrait clips onto ten backgrounds: contact sheets to look at, and a table of what can be measured.

    python benchmarks/real_clips.py --data DIR --out DIR

DIR of --data holds `portraits_video/NAME.mp4` with `NAME_mask.mp4`, and `backgrounds_video/NAME.mp4`. Each result is
scored against its source. With --own each clip goes before itself at strength 0, with --filled its first frames before
their own background from which the person is taken: what comes back should be the clip.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np

from harmovid.baselines import classical
from harmovid.composite.plate import fill
from harmovid.evaluate.fidelity import SquaredError
from harmovid.evaluate.rows import table
from harmovid.evaluate.score import score_folder
from harmovid.infer import pipeline
from harmovid.infer.compare import Comparison
from harmovid.infer.plan import Options, plan
from harmovid.video import io
from harmovid.video.color import from_linear, to_linear

PAIRS = {
    "lumen_single_1843056": "tclight_drive2", "lumen_single_1428515": "lofi_forest",
    "lumen_single_1217498": "lightav_flowers", "lumen_single_2445920": "void_bigben",
    "lumen_single_2392301": "lightx_1", "lumen_single_2656384": "weatherapp_rain",
    "lumen_single_1302822": "tclight_drive5", "lumen_single_2041041": "lofi_cafe",
    "lumen_far_1968196": "lofi_bedroom", "lumen_multi_105159": "lightav_boat",
}


_FRAMES = 11  # of each clip that --filled takes


def unchanged(data: Path, out: Path, edge: float, filled: bool) -> None:
    """Print the foreground PSNR of each clip put before its own background at strength 0."""
    out.mkdir(parents=True, exist_ok=True)
    for person in PAIRS:
        front = io.open_clip(data / "portraits_video" / f"{person}.mp4")
        mask = io.open_clip(data / "portraits_video" / f"{person}_mask.mp4")
        behind = _filled(front, mask, out / person) if filled else front
        options = Options(strength=0, edge=edge, end=_FRAMES if filled else None)
        work = plan(front, behind, mask, out / "own.mkv", options, overwrite=True)
        pipeline.harmonize(work, classical.by_name("classical"))
        error = SquaredError()
        for result, source, alpha in zip(io.read(io.open_clip(out / "own.mkv")), io.read(front),
                                         io.read(mask, grey=True), strict=False):
            error.add(result.rgb, source.rgb, alpha.rgb)
        print(f"{person}: foreground {error.psnr():.1f} dB")


def _filled(front: io.Clip, mask: io.Clip, folder: Path) -> io.Clip:
    """The first frames without the person, as a folder of 16-bit pictures."""
    folder.mkdir(exist_ok=True)
    frames = np.stack([frame.rgb for frame in itertools.islice(io.read(front), _FRAMES)])
    masks = np.stack([frame.rgb for frame in itertools.islice(io.read(mask, grey=True), _FRAMES)])
    plate = from_linear(fill(to_linear(frames, front.tags.transfer), masks), front.tags.transfer)
    for n, picture in enumerate(plate):
        codes = (np.clip(picture, 0, 1) * 65535).round().astype(np.uint16)
        cv2.imwrite(str(folder / f"{n:04d}.png"), cv2.cvtColor(codes, cv2.COLOR_RGB2BGR))
    return io.open_clip(folder)


def main() -> None:
    """Run all pairs, then score them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="classical")
    parser.add_argument("--strength", type=float, default=1.0, help="0 is the row of doing nothing")
    parser.add_argument("--edge", type=float, default=Options().edge, help="soft edge of hard masks")
    parser.add_argument("--own", action="store_true", help="clips before themselves at strength 0")
    parser.add_argument("--filled", action="store_true", help="clips before their own background, person filled in")
    args = parser.parse_args()
    if args.own or args.filled:
        unchanged(args.data, args.out, args.edge, args.filled)
        return
    folders = {name: args.out / name for name in ("results", "masks", "source", "sheets")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for person, scene in PAIRS.items():
        front = io.open_clip(args.data / "portraits_video" / f"{person}.mp4")
        mask = io.open_clip(args.data / "portraits_video" / f"{person}_mask.mp4")
        behind = io.open_clip(args.data / "backgrounds_video" / f"{scene}.mp4")
        work = plan(front, behind, mask, folders["results"] / f"{person}.mkv",
                    Options(strength=args.strength, edge=args.edge), overwrite=True)
        sheet = Comparison(folders["sheets"] / f"{person}.png", len(work), work.rate, overwrite=True)
        pipeline.harmonize(work, classical.by_name(args.model), compare=sheet)
        mask_link = folders["masks"] / f"{person}.mp4"
        mask_link.unlink(missing_ok=True)
        mask_link.symlink_to(mask.path.absolute())
        link = folders["source"] / f"{person}.mp4"
        link.unlink(missing_ok=True)
        link.symlink_to(front.path.absolute())
    report = args.out / "report.jsonl"
    report.unlink(missing_ok=True)
    rows = score_folder(folders["results"], report, masks=folders["masks"], source=folders["source"])
    print(table(rows))


if __name__ == "__main__":
    main()
