"""Networks that have a place in this package, weights/NAME; where no weights lie there, they are to be trained."""

from __future__ import annotations

SHIPPED = {"nano": "harmovid train harmonize", "nano-harmoim": "harmovid train harmoim",
           "nano-deflicker": "harmovid train deflicker"}
"""By name, the command that trains one."""

STEADY = "nano-deflicker"
"""The one that only steadies light; the others relight."""

_SHORT = {"harmoim": "nano-harmoim"}


def full_name(word: str) -> str:
    """The name that a short word stands for; anything else stands for itself."""
    return _SHORT.get(word, word)
