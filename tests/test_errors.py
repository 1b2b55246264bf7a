"""The kinds of error, and that a user's mistakes are all one kind."""

import pytest

from harmovid import errors


@pytest.mark.parametrize(
    "kind", [errors.InputError, errors.OutputError, errors.OptionError, errors.MissingExtra])
def test_each_kind_is_a_value_error_of_ours(kind):
    assert issubclass(kind, errors.HarmoVidError) and issubclass(kind, ValueError)


def test_messages_are_kept():
    message = "mask has 118 frames, foreground has 120; pass --fit trim"
    assert str(errors.InputError(message)) == message


def test_a_missing_extra_tells_how_to_get_it():
    message = str(errors.MissingExtra("rembg", "rembg", "matting by rembg"))
    assert message.startswith("matting by rembg needs the package rembg")
    assert "pip install 'harmovid[rembg]'" in message
