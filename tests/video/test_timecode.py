"""SMPTE timecode: counted, and counted past the numbers that drop-frame leaves out (SMPTE ST 12-1)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmovid.video.timecode import shift

NTSC, NTSC60 = Fraction(30000, 1001), Fraction(60000, 1001)


@pytest.mark.parametrize(("code", "frames", "rate", "expected"), [
    ("01:00:00:00", 0, Fraction(25), "01:00:00:00"),
    ("01:00:00:00", 25, Fraction(25), "01:00:01:00"),
    ("00:59:59:24", 1, Fraction(25), "01:00:00:00"),
    ("23:59:59:23", 1, Fraction(24), "00:00:00:00"),
    ("00:00:00:00", -1, Fraction(24), "23:59:59:23"),
    ("10:00:00:00", 24 * 3600, Fraction(24000, 1001), "11:00:00:00"),  # it counts frames, not time
    ("00:00:59:29", 1, NTSC, "00:01:00:00"),  # non-drop keeps all its numbers
    ("00:00:00:00", 50, Fraction(50), "00:00:01:00"),
    ("00:00:00:99", 1, Fraction(100), "00:00:01:00"),
    ("00:00:00:119", 1, Fraction(120), "00:00:01:00"),
    ("00:00:00:00", 1, Fraction(1, 2), "00:00:01:00"),
    # Frames 0 and 1 of each minute but the tenth don't exist.
    ("00:00:59;29", 1, NTSC, "00:01:00;02"),
    ("00:01:00;02", -1, NTSC, "00:00:59;29"),
    ("00:09:59;29", 1, NTSC, "00:10:00;00"),
    ("00:01:59;29", 1, NTSC, "00:02:00;02"),
    ("00:00:00;00", 1800, NTSC, "00:01:00;02"),
    ("00:00:00;00", 17981, NTSC, "00:09:59;29"),
    ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
    ("00:00:00;00", 107892, NTSC, "01:00:00;00"),  # an hour of the clock, to 3.6 ms
    ("01:02:03;04", 12345, NTSC, "01:08:55;01"),
    ("23:59:59;29", 1, NTSC, "00:00:00;00"),
    ("00:00:59.29", 1, NTSC, "00:01:00.02"),  # a full stop is an older way to write it
    # At 60 four are left out.
    ("00:00:59;59", 1, NTSC60, "00:01:00;04"),
    ("00:09:59;59", 1, NTSC60, "00:10:00;00"),
    ("00:00:00;00", 215784, NTSC60, "01:00:00;00"),
    # Other rates have no drop-frame, whatever the notation.
    ("01:00:00;00", 25, Fraction(25), "01:00:01:00"),
    ("00:00:59;23", 1, Fraction(24000, 1001), "00:01:00:00"),
])
def test_golden(code, frames, rate, expected):
    assert shift(code, frames, rate) == expected


@pytest.mark.parametrize("code", ["", "1:00:00:00", "01:00:00", "01:00:00:0", "01-00-00-00", "01:00:00:00 ", "x",
                                  "01:00:00:0000", "aa:bb:cc:dd"])
def test_no_timecode(code):
    with pytest.raises(ValueError, match="a timecode looks like 01:00:00:00"):
        shift(code, 1, Fraction(25))


@given(st.sampled_from([(NTSC, ";"), (NTSC60, ";"), (Fraction(25), ":"), (Fraction(24000, 1001), ":")]),
       st.integers(-3_000_000, 3_000_000), st.integers(-3_000_000, 3_000_000))
def test_steps_add_up(kind, a, b):
    rate, separator = kind
    zero = f"00:00:00{separator}00"
    assert shift(shift(zero, a, rate), b, rate) == shift(zero, a + b, rate)
    assert shift(shift(zero, a, rate), -a, rate) == zero


@given(st.integers(0, 2_589_407))
def test_drop_frame_names_no_number_that_is_left_out(count):
    hours, minutes, rest = shift("00:00:00;00", count, NTSC).split(":")
    seconds, frame = rest.split(";")
    assert int(hours) < 24 and int(seconds) < 60 and int(frame) < 30
    assert not (seconds == "00" and int(frame) < 2 and int(minutes) % 10)
    # The clock is never more than two frames and a tenth of a second a day away.
    shown = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(frame) / 29.97
    assert abs(shown - count * 1001 / 30000) < 0.2
