"""Where anny keeps what its first load makes, in two minutes: beside the tests, wherever they were started."""

import os
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache"
os.environ.setdefault("ANNY_CACHE_DIR", str(CACHE / "anny"))
os.environ.setdefault("WARP_CACHE_PATH", str(CACHE / "warp"))
