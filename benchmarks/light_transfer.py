"""What light transfer loses and adds, on drawn people whose truth is known: `python -m benchmarks.light_transfer`.

The cases are those of `tests/infer/test_transfer.py`, which hold the bars; this prints the figures themselves.
"""

from __future__ import annotations

import numpy as np

from harmovid.evaluate.fidelity import psnr, texture
from harmovid.infer.transfer import TransferConfig, lights
from harmovid.video.color import from_linear, to_linear
from tests import figures
from tests.infer.test_transfer import HD, SMALL, jitters, pairs, ramp, relit, square, uniform


def main() -> None:
    """Print the figures."""
    clip, box = figures.film(SMALL, 4, step=(3, 1)), square(SMALL)
    got = relit(clip, lights(pairs(clip, uniform(1), box)), box)
    print(f"identity: largest difference {np.abs(got - clip.own).max():.1e}")

    matrix = np.array([[0.7, 0.15, 0.05], [0.02, 0.6, 0.1], [0.05, 0.0, 0.8]])
    reference, _, alpha = next(pairs(clip, uniform(1), box))
    result = from_linear((to_linear(reference, "srgb") @ matrix.T).astype(np.float32), "srgb")
    own = to_linear(clip.own[0], "srgb")
    ratio = next(lights([(reference, result, alpha)])).apply(own, box) / (own @ matrix.T)
    print(f"affine: largest error {100 * np.abs(ratio - 1)[clip.alpha[0] > 0].max():.3f}%")

    clip, box, gain = figures.film(HD, 1), square(HD), ramp(HD)
    got = np.clip(relit(clip, lights(pairs(clip, gain, box)), box), 0, 1)
    print(f"side gain at 1080p: {psnr(got, np.clip(clip.lit(gain), 0, 1), clip.alpha):.1f} dB, "
          f"texture {texture(got, clip.own, clip.alpha):.4f}")

    trembling = 0.6 * np.exp(0.1 * np.random.default_rng(3).normal(size=(12, 1, 1, 3)))
    cases = {"trembling gain, still": (trembling, (0.0, 0.0)), "trembling gain, moving": (trembling, (3.0, 1.0)),
             "steady side gain, moving": (np.repeat(ramp((240, 136)), 12, axis=0), (3.0, 1.0))}
    for name, (gain, step) in cases.items():
        for label, config in (("unsmoothed", TransferConfig(temporal_sigma=0)), ("default", TransferConfig())):
            ours, truth = jitters(gain, config, step)
            print(f"jitter, {name}, {label}: {ours:.4f} against {truth:.4f}, {ours / truth:.2f} x")


if __name__ == "__main__":
    main()
