"""From stored codes to float pictures: the standard's matrices, ranges and turns."""

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from harmovid.video.io import open_clip, read
from harmovid.video.pixels import rgb_to_ycbcr, ycbcr_to_rgb
from tests import makers

MATRICES = [Colorspace.ITU709, Colorspace.ITU601, Colorspace.BT2020, Colorspace.SMPTE240M, Colorspace.FCC]


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(("bits", "full"), [(8, False), (8, True), (10, False), (12, True)])
def test_black_white_and_grey_have_the_codes_of_the_standard(matrix: Colorspace, bits: int, full: bool) -> None:
    to_codes = rgb_to_ycbcr(matrix, bits, full)
    top = 2.0 ** (bits - 8)
    black, white = (0.0, 2.0**bits - 1) if full else (16 * top, 235 * top)
    for value, luma in ((0.0, black), (1.0, white), (0.5, (black + white) / 2)):
        np.testing.assert_allclose(to_codes @ [value, value, value, 1], [luma, 128 * top, 128 * top], atol=1e-9)


def test_red_in_bt709_and_in_bt601() -> None:
    """Y of pure red is Kr; Cr is at the end of its range. ITU-T H.273, matrix coefficients 1 and 6."""
    for matrix, kr in ((Colorspace.ITU709, 0.2126), (Colorspace.ITU601, 0.299)):
        luma, _, cr = rgb_to_ycbcr(matrix, 8, False) @ [1, 0, 0, 1]
        assert luma == pytest.approx(16 + 219 * kr) and cr == pytest.approx(240)


@pytest.mark.parametrize("matrix", MATRICES)
def test_there_and_back(matrix: Colorspace) -> None:
    rgb = np.random.default_rng(0).random((50, 3))
    there, back = rgb_to_ycbcr(matrix, 10, False), ycbcr_to_rgb(matrix, 10, False)
    codes = rgb @ there[:, :3].T + there[:, 3]
    np.testing.assert_allclose(codes @ back[:, :3].T + back[:, 3], rgb, atol=1e-12)


def test_a_decoded_frame_is_let_go_at_once(tmp_path) -> None:
    """Side data and its frame hold each other in PyAV: asked of every frame, a long clip would fill the memory."""
    clip = open_clip(makers.write_clip(tmp_path / "a.mp4", [makers.coded(i) for i in range(12)]))
    import gc

    gc.collect()
    gc.disable()
    try:
        for _ in read(clip):
            pass
        alive = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert alive <= 4
