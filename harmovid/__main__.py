"""`python -m harmovid` is `harmovid`."""

from harmovid.cli import main

main()
