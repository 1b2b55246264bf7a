"""Which colour tables are trained on: read as written, such as light could do, and none that results are tested by."""

import numpy as np
import pytest

from benchmarks.fetch_looks import is_near, is_of_use, read_cimg
from harmovid.light import lut

SAME = lut.identity(5).table  # (R, G, B, 3)


def written(*tables: np.ndarray) -> bytes:
    """As CImg writes them: red fastest, then green, blue, channels."""
    data = f"{len(tables)} float little_endian\n".encode()
    for table in tables:
        data += f"{table.shape[0]} {table.shape[1]} {table.shape[2]} {table.shape[3]}\n".encode()
        data += (255 * table).astype("<f4").tobytes(order="F")
    return data


def test_tables_are_read_as_they_were_written_and_a_grey_one_has_three_alike():
    warm = SAME * np.array([1, 0.9, 0.5], np.float32)
    grey = SAME.mean(-1, keepdims=True)
    one, other = read_cimg(written(warm, grey))
    np.testing.assert_allclose(one, warm, atol=1e-6)
    np.testing.assert_allclose(other, np.repeat(grey, 3, -1), atol=1e-6)
    with pytest.raises(SystemExit, match="expected floats"):
        read_cimg(b"1 uint8 little_endian\n1 1 1 1\n0")


def test_what_light_could_do_is_of_use_and_grey_negatives_and_false_colours_are_not():
    luma = SAME @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    for good in (SAME, 0.8 * SAME + 0.1, SAME**1.5, SAME * np.array([1, 0.8, 0.4], np.float32)):
        assert is_of_use(good)
    for bad in (np.repeat(luma[..., None], 3, -1), 1 - SAME, SAME[..., [1, 2, 0]],
                np.abs(2 * SAME - 1)):
        assert not is_of_use(bad)


def test_a_table_is_near_to_itself_and_to_more_of_the_same_but_not_to_another():
    warm, cold = (SAME * np.array(gains, np.float32) for gains in ((1, 0.85, 0.6), (0.7, 0.85, 1)))
    assert is_near(warm, [cold, warm + np.float32(0.01)])
    assert is_near(SAME + 0.8 * (warm - SAME), [warm])
    assert not is_near(warm, [cold]) and not is_near(warm, [])
