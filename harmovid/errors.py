"""The few kinds of error that HarmoVid raises on purpose.

Every message is a sentence or two: what is wrong, what was got, what was expected, and what to do
next. Anything else that escapes is a bug of ours.
"""

import sys


class HarmoVidError(ValueError):
    """Something the user can mend; the command line prints it and exits with status 2."""


class InputError(HarmoVidError):
    """A file given cannot serve: missing, damaged, without picture, of the wrong length or size."""


class OutputError(HarmoVidError):
    """The result cannot be written: unknown suffix, no right, no space, same place as an input."""


class OptionError(HarmoVidError):
    """An option has no meaning here, alone or together with another."""


class MissingExtra(HarmoVidError):
    """An optional package is needed for this, and it is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed; "
            f"run: {sys.executable} -m pip install 'harmovid[{extra}]'"
        )
