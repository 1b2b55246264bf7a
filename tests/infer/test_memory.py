from __future__ import annotations

import ctypes
import json
import os
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


# The same array over and over: how many pages the system hands out for it.
AGAIN = """
import json, resource
import numpy as np
from harmovid.infer.memory import keep_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        np.ones(40_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = faults()
keep_memory()
faults()
print(json.dumps([first, faults()]))
"""


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc's malloc")
def test_kept_memory_is_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, timeout=60,
                          cwd=Path(__file__).parents[2], env={**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"})
    assert done.returncode == 0, done.stderr
    first, after = json.loads(done.stdout)
    assert first > 4 * 9000 and after < 200
