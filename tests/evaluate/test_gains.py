"""What a method gained, by hand."""

import pytest

from harmovid.errors import InputError
from harmovid.evaluate import gains


def test_gains_by_hand():
    before = {"a": 13.0, "b": 14.0, "c": 18.0, "d": 19.0, "e": 25.0}
    after = {"a": 15.0, "b": 13.6, "c": 17.0, "d": 20.0, "e": 25.5}
    found = gains.gains(*([{"clip": name, "foreground_psnr": value} for name, value in rows.items()]
                        for rows in (after, before)))
    assert found.gain == pytest.approx(0.42) and found.worse == pytest.approx(0.2)
    assert [(band.count, pytest.approx(band.gain)) for band in found.bands] == [(1, 2.0), (2, -0.7), (2, 0.75)]
    assert (found.before, found.after) == (pytest.approx(17.8), pytest.approx(18.22))
    with pytest.raises(InputError, match="not of the same items"):
        gains.gains([{"clip": "a", "foreground_psnr": 1.0}], [{"clip": "b", "foreground_psnr": 1.0}])
