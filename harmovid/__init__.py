"""HarmoVid: relight a person in a video by the background they are put on."""

__version__ = "0.1.0"
