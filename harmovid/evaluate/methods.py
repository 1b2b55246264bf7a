"""The methods that a test set is put through, by the names that the command line knows them by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from harmovid import config
from harmovid.baselines import classical
from harmovid.baselines.gaussian import TemporalGaussian
from harmovid.errors import InputError, OptionError, OutputError
from harmovid.infer.chain import Chain
from harmovid.infer.plan import Options
from harmovid.infer.transfer import TransferConfig
from harmovid.infer.views import Harmonized, Harmonizer, ViewClip, ViewSize
from harmovid.model.names import SHIPPED, full_name

WEIGHTLESS = ("untouched", "background", "reinhard", "classical", "histogram", "gaussian")
BUILT_IN = (*WEIGHTLESS, "bvd", "codec")
QUICK_FRAMES = 17
_RECORD = "method.json"
_STEADYING = ("bvd", "gaussian")  # of those that are built in, what only steadies light
_CHUNK = 32  # frames of a view looked at together
_SAMPLE = 1 << 20  # bytes of a file's beginning and end that its digest is of


@dataclass(frozen=True)
class Method:
    """A method as it is run.

    name: of its folder of results: the model's with what is not the default, nano__network. model: one of BUILT_IN or
    of the networks SHIPPED, or a folder of weights; or two of these joined by +, one after the other. options: of the
    straight path. settings: those of `options` that were given as name=value.
    """

    name: str
    model: str
    options: Options
    settings: tuple[str, ...] = ()

    @property
    def is_network(self) -> bool:
        """Whether it is a network that harmonizes, which works at no other size than its own."""
        return any(part not in BUILT_IN for part in self.parts)

    @property
    def parts(self) -> list[str]:
        """The models that go one after the other, most often one."""
        return self.model.split("+")


@dataclass(frozen=True)
class Record:
    """What stands in method.json beside results.

    weights: "file digest" of each; none of a method without. view: area, multiple and overview of the small pictures
    that a method was put to which works at any size; not there in what was noted before it was.
    """

    model: str
    detail: str
    settings: tuple[str, ...] = ()
    end: int | None = None
    weights: tuple[str, ...] = ()
    view: tuple[int, ...] | None = None


def method(text: str, detail: Literal["transfer", "network"] = "transfer", settings: tuple[str, ...] = (),
           quick: bool = False) -> Method:
    """A method by its name, by its folder of weights, or NAME=FOLDER, where the folder's own name says nothing.

    Args:
        text: untouched (strength 0), background (the person in the background's mean colour: the floor), reinhard,
            classical, histogram, gaussian (the person's mean colour smoothed over time), bvd (blind deflickering),
            codec (through nano's codec and back), nano, nano-harmoim or harmoim (frame by frame),
            nano-deflicker (steadies light), or the folder of a checkpoint, or of IC-Light (known by its unet/); or two
            of these joined by +, the second after the first, as in NAME=harmoim+deflicker/model.
        detail: of the straight path.
        settings: name=value of the straight path's options, as its --set takes them.
        quick: the first 17 frames alone.

    Raises:
        OptionError: there is no such method, folder, or setting.
    """
    name, _, model = text.rpartition("=")
    model = "+".join(map(full_name, model.split("+")))
    if not name:
        name = "+".join(part if part in (*BUILT_IN, *SHIPPED) else Path(part).resolve().name
                        for part in model.split("+"))
    if model.count("+") > 1:
        raise OptionError(f"{model} names more than two methods; give one, or two joined by +")
    for part in model.split("+"):
        if part not in (*BUILT_IN, *SHIPPED) and not Path(part).is_dir():
            raise OptionError(f"there is no method {part!r}; give {', '.join((*BUILT_IN, *SHIPPED))}, or the folder of "
                              "a checkpoint")
    if "/" in name or name.startswith(".") or "__" in name:
        raise OptionError(f"{name!r} cannot be the name of a folder of results; give another as NAME=FOLDER, without "
                          "/ and __")
    if taken := [item for item in settings if item.partition("=")[0].strip() in ("detail", "sound", "end")]:
        raise OptionError(f"--set {taken[0]} is not for a comparison: detail has an option of its own, --detail, the "
                          "length is the items', and results have no sound; leave it out")
    # What the light transfer is set to means nothing where no light is changed.
    if model == "untouched" or detail == "network":
        settings = tuple(item for item in settings if not item.strip().startswith("transfer."))
    if model == "background":
        settings = ()
    # Of what steadies light each frame's correction is its own: smoothed, it would correct nothing. After
    # another one it corrects what that one made, and what both change is steady.
    options = Options(transfer=TransferConfig(temporal_sigma=0.0)) if _steadies(model.split("+")[0]) else Options()
    options = config.override(options, list(settings))
    options = replace(options, detail=detail, sound=False, strength=0.0 if model == "untouched" else options.strength,
                      end=QUICK_FRAMES if quick else options.end)
    parts = [name, *(["network"] if detail == "network" else []),
             *(_short(item) for item in settings), *(["quick"] if quick else [])]
    return Method("__".join(parts), model, options, settings)


def _short(setting: str) -> str:
    """A setting as a folder's name has it: without the group that it is of."""
    name, equals, value = setting.strip().partition("=")
    return f"{name.rpartition('.')[2]}{equals}{value}".replace("/", "-")


def load(chosen: Method, device: str = "cpu", view: ViewSize | None = None) -> Harmonizer:
    """The harmonizer of a method.

    Args:
        chosen: the method.
        device: where networks run.
        view: the size that one of BUILT_IN is to work at, for a comparison in network detail; None for its own.

    Raises:
        InputError: the weights cannot be read.
    """
    if len(chosen.parts) > 1:
        parts = [replace(chosen, model=part) for part in chosen.parts]
        view = next((load(part, device).view for part in parts if part.is_network), view)
        first, second = (load(part, device, view) for part in parts)
        return Chain(first, second, view or first.view)
    if chosen.is_network:
        return _network(chosen.model, device, chosen.options.overlap)
    own: Harmonizer
    if chosen.model == "untouched":
        own = Untouched()
    elif chosen.model == "background":
        own = PaintedOver()
    elif chosen.model == "gaussian":
        own = TemporalGaussian()
    elif chosen.model == "bvd":
        own = _bvd(device)
    elif chosen.model == "codec":
        own = _codec(device)
    else:
        own = classical.by_name(chosen.model)
    return own if view is None else Sized(own, view)


def record(chosen: Method, results: Path, view: ViewSize | None = None) -> None:
    """Note beside results what made them, so that no others are mixed with them.

    view: as of `load`.

    Raises:
        OutputError: `results` holds those of other weights or settings.
    """
    settings = chosen.settings
    if chosen.model in _STEADYING and chosen.options.detail == "transfer" and not any(
            item.strip().startswith("transfer.temporal_sigma") for item in settings):
        settings = (*settings, "transfer.temporal_sigma=0.0")  # their own, where others have 1: see `method`
    found = Record(chosen.model, chosen.options.detail, settings, chosen.options.end,
                   tuple(found for part in chosen.parts if part not in WEIGHTLESS for found in _weights(part)),
                   None if view is None or chosen.is_network else (view.area, view.multiple, *view.overview))
    file = results / _RECORD
    before = config.load(Record, file) if file.exists() else None
    if before is not None and [path.name for path in results.iterdir()] == [_RECORD]:
        before = None  # it came to nothing
    unknown = before is None and found.weights and any(results.glob("*.mkv"))
    # A folder of weights may have moved; what counts is what it holds.
    if unknown or (before is not None and replace(before, model=found.model, view=before.view or found.view) != found):
        raise OutputError(f"{results} holds results of other weights or settings; remove it, or name this method "
                          "otherwise: --model NAME=FOLDER")
    if before is None:
        try:
            results.mkdir(parents=True, exist_ok=True)
            config.save(found, file)
        except OSError as error:
            raise OutputError(f"{results} cannot be written ({error.strerror}); check the rights") from error


@dataclass
class Untouched:
    """Does nothing."""

    name: str = "untouched"
    view: ViewSize = ViewSize()

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """The composite as it is."""
        for start in range(0, len(clip), _CHUNK):
            same = clip.window(start, min(start + _CHUNK, len(clip))).composite
            yield Harmonized(same, same)


@dataclass
class PaintedOver:
    """Paints the person over with the mean colour of the whole background: what no method may score below."""

    name: str = "background"
    view: ViewSize = ViewSize()

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """The background with a flat shape in it."""
        windows = [(start, min(start + _CHUNK, len(clip))) for start in range(0, len(clip), _CHUNK)]
        means = [clip.window(*window).overview.mean((2, 3)) for window in windows]  # (3, T) each
        flat = np.concatenate(means, 1).mean(1)[:, None, None, None]
        for window in windows:
            views = clip.window(*window)
            yield Harmonized(views.composite, views.background + views.mask * (flat - views.background))


class Sized:
    """A method at another size of view."""

    def __init__(self, method: Harmonizer, view: ViewSize) -> None:
        self.name, self.method, self.view = method.name, method, view

    def harmonize(self, clip: ViewClip, seed: int = 0) -> Iterator[Harmonized]:
        """The method's answer."""
        return self.method.harmonize(clip, seed)


@lru_cache(maxsize=4)
def _network(model: str, device: str, overlap: float) -> Harmonizer:
    """A few are kept, for they are asked for again to know their views, and take long to load."""
    from harmovid.baselines.iclight import IcLight
    from harmovid.infer.framewise import harmonizer
    from harmovid.model import checkpoint
    from harmovid.model.stable import is_stable

    if is_stable(Path(model)):
        return IcLight(Path(model), device=device)
    found = harmonizer(checkpoint.load(model, device), device=device)
    found.overlap = overlap
    return found


def _bvd(device: str) -> Harmonizer:
    from harmovid.baselines.bvd import BlindDeflickering

    return BlindDeflickering(device=device)


def _codec(device: str) -> Harmonizer:
    from harmovid.infer.network import RoundTrip
    from harmovid.model import checkpoint

    return RoundTrip(checkpoint.load("nano", device), device)


def _weights(model: str) -> tuple[str, ...]:
    """"file digest" of settings and weights; of large files, of their beginning and end."""
    from harmovid.baselines import bvd
    from harmovid.model import checkpoint

    special = {"codec": checkpoint.WEIGHTS / "nano" / "vae", "bvd": bvd.WEIGHTS}
    folder = special.get(model) or _folder(model)
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json") and path.is_file()
                   and path.name != "training.json")  # tells how they came about, and changes nothing
    if not files:
        raise InputError(f"{folder} holds no weights; give the folder of a checkpoint, the one with config.json")
    return tuple(f"{path.relative_to(folder).as_posix()} {_digest(path)}" for path in files)


def _folder(model: str) -> Path:
    """Of a network's weights."""
    from harmovid.model import checkpoint

    return checkpoint.WEIGHTS / model if model in SHIPPED else Path(model)


def _steadies(model: str) -> bool:
    """Whether a method only steadies light."""
    if model in _STEADYING:
        return True
    try:
        written = json.loads((_folder(model) / "config.json").read_text())
    except (OSError, ValueError):  # it has none; of a damaged one loading tells
        return False
    return isinstance(written, dict) and written.get("background") is False


def _digest(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE))
        file.seek(max(0, size - _SAMPLE))
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]
