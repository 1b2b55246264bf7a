from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest

# Pictures with a small block behind each, as a decoder keeps one; then the pictures go and the blocks stay.
KEPT = """
import json, os, threading
import numpy as np
from harmovid.infer.memory import give_back_pictures
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
def pictures():
    held = [(np.ones(3_000_000, np.float32), bytearray(200_000)) for _ in range(8)]
    blocks.extend(block for _, block in held)
    most.append(resident())
np.ones(6_500_000, np.float32)  # from here on malloc alone keeps what is smaller: 93 MiB of the following
blocks, most = [], []
give_back_pictures()
before = resident()
thread = threading.Thread(target=pictures)
thread.start()
thread.join()
print(json.dumps([most[0] - before, resident() - before]))
"""


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc's malloc")
def test_freed_pictures_leave_no_gaps_behind() -> None:
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, timeout=60,
                          cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    most, after = json.loads(done.stdout)
    assert most > 80 and after < 8
