"""Scores for folders of result clips, ours or a peer's: one JSON line per clip."""

from __future__ import annotations

import hashlib
import math
import sys
import threading
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import cv2

from harmovid.errors import HarmoVidError, InputError, OptionError
from harmovid.evaluate import shots
from harmovid.evaluate.measures import COLUMNS, NOTHING, Light, Measures, Tools
from harmovid.evaluate.rows import Row, append, resume
from harmovid.video.clip import Clip
from harmovid.video.stills import SUFFIXES as PICTURES

VERSION = 4  # of the measures' definitions: raise it, and rows of the old ones are scored anew
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mxf", ".mpg", ".mpeg", ".ts", ".m2ts", ".y4m",
          ".gif", ".wmv", ".flv", ".ogv")


def score_folder(results: Path, out: Path, *, truth: Path | None = None, masks: Path | None = None,
                 source: Path | None = None, background: Path | None = None, resize: bool = False,
                 workers: int = 1, tools: Tools | None = None, names: Collection[str] | None = None,
                 frames: Mapping[str, int] | None = None, lights: Mapping[str, Light] | None = None,
                 on_clip: Callable[[str, int, int], None] | None = None) -> list[Row]:
    """Score every clip of a folder, and append a JSON line per clip to `out` as each is finished.

    A clip is a video file or a folder of pictures; it goes with the truth, mask, source and background
    of the same name (without suffix). A clip already in `out` is skipped, unless it, or what it is
    compared with, or an option has changed since (name, size and time of the files). A clip that cannot
    be scored gives a line with "error" and is tried again next time; so does a truth without a result.

    Args:
        results: folder of finished pictures, without alpha.
        out: the report, JSON lines; where a clip has several, the last one holds.
        truth: folder of what the results should be, of the same length and size.
        masks: folder of mattes, their luminance is the foreground's alpha; a still serves all frames.
        source: folder of the foregrounds as filmed: for texture, and for jitter where there is no truth.
        background: folder of the backgrounds as composited; a still serves all frames, a longer clip is
            read from its start.
        resize: bring a result of another size to that of its truth, by area when smaller, else cubic.
        workers: clips scored at the same time; figures don't depend on it.
        tools: networks and flow, for the measures that work with them; without them those are left out.
        names: the clips to score; None for all that are there.
        frames: by clip, how many are scored, from the first; those that are not named, whole.
        lights: by clip, what its truth's light does, for step response and movement.
        on_clip: called with (name, clips done, clips in all) after each clip, skipped ones too.

    Returns:
        The rows of all clips, by name: "clip", "frames", "width", "height", the figures of `COLUMNS` and
        `NOTHING` (None where what they need was not given, or they are undefined), or "error".

    Raises:
        OptionError: nothing to compare with.
        InputError: a folder is missing or holds no clip, or `out` is some other file.
        OutputError: `out` cannot be written.
    """
    given = {"truth": truth, "masks": masks, "source": source, "background": background}
    return score_folders([(results, out)], **given, resize=resize, workers=workers, tools=tools, names=names,
                         frames=frames, lights=lights, on_clip=on_clip)[0]


def score_folders(runs: Sequence[tuple[Path, Path]], *, truth: Path | None = None, masks: Path | None = None,
                  source: Path | None = None, background: Path | None = None, resize: bool = False, workers: int = 1,
                  tools: Tools | None = None, names: Collection[str] | None = None,
                  frames: Mapping[str, int] | None = None, lights: Mapping[str, Light] | None = None,
                  on_clip: Callable[[str, int, int], None] | None = None) -> list[list[Row]]:
    """Score several folders against the same references, which are read, and seen by networks, only once.

    Args:
        runs: (results, report) of each, as the first two of `score_folder`, whose other arguments these are too.

    Returns:
        The rows of each run; errors as `score_folder`'s.
    """
    given = {role: folder for role, folder in
             (("truth", truth), ("source", source), ("mask", masks), ("background", background)) if folder}
    if "truth" not in given and not ("mask" in given and len(given) > 1):
        raise OptionError("there is nothing to compare the results with; give --truth, "
                          "or --masks with --source or --background")
    references = {role: find_clips(folder, stills=role in ("mask", "background")) for role, folder in given.items()}
    tools, lengths, lights = tools or Tools(), dict(frames or {}), dict(lights or {})
    told = [_Run(results, out, references, names, resize, tools, lengths, lights) for results, out in runs]
    total = sum(run.total for run in told)

    def finish(run: _Run, name: str, row: Row) -> None:
        run.finish(name, row)
        if on_clip:
            on_clip(name, sum(len(one.rows) for one in told), total)

    for run in told:
        for name in run.done:
            finish(run, name, run.known[name])
        for name in run.lost:
            finish(run, name, {"clip": name, "error": f"{run.folder} holds no result {name}, only its truth is there; "
                                                      "render it, or leave it out of the truth"})
    left = sorted({name for run in told for name in run.clips if name not in run.done})
    stop = threading.Event()
    pool = ThreadPoolExecutor(max(1, workers))
    with _one_thread_each() if workers > 1 else nullcontext():
        try:
            running = {}
            for name in left:
                places = {role: found.get(name, []) for role, found in references.items()}
                results = {number: run.clips[name] for number, run in enumerate(told)
                           if name in run.clips and name not in run.done}
                folders = {number: told[number].folder for number in results}
                item = _Item(name, given, places, resize, tools, lengths.get(name), lights.get(name), stop,
                             next((row for run in told if (row := run.nothing(name))), None))
                running[pool.submit(item.score, results, folders)] = name
            for future in as_completed(running):
                name = running[future]
                for number, row in future.result().items():
                    finish(told[number], name, {"clip": name, **row, "key": told[number].keys[name],
                                                "references": told[number].references[name]})
        finally:
            stop.set()  # interrupted: the clips in work end at their next frame
            pool.shutdown(cancel_futures=True)
    return [[run.rows[name] for name in sorted(run.rows)] for run in told]


def find_clips(folder: Path, stills: bool = False) -> dict[str, list[Path]]:
    """Clips of a folder by name: video files, folders of pictures, and single pictures where `stills`.

    A picture beside a video of the same name is its poster and is left out. Names are compared as
    Unicode NFC, for file systems differ.

    Raises:
        InputError: there is no such folder, or it holds no clip.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; expected a folder with a video, or a folder of "
                         "pictures, for each clip")
    found: dict[str, list[Path]] = {}
    posters: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        name = unicodedata.normalize("NFC", path.name if path.is_dir() else path.stem)
        if path.name.startswith("."):
            continue
        if any(map(_is_picture, path.iterdir())) if path.is_dir() else path.suffix.lower() in VIDEOS:
            found.setdefault(name, []).append(path)
        elif _is_picture(path):
            posters.setdefault(name, []).append(path)
    found = {**posters, **found} if stills else found
    if not found:
        hint = f": put each clip's pictures into its own, as {folder}/NAME/0001.png" if posters else ""
        raise InputError(f"{folder} holds no clip; expected video files, or folders of pictures{hint}")
    return dict(sorted(found.items()))


class _Run:
    """A folder of results and its report: what is in it, and what is still to be scored."""

    def __init__(self, folder: Path, out: Path, references: Mapping[str, dict[str, list[Path]]],
                 names: Collection[str] | None, resize: bool, tools: Tools, lengths: Mapping[str, int],
                 lights: Mapping[str, Light]) -> None:
        self.folder, self.out = folder, out
        self.clips = {name: places for name, places in find_clips(folder).items() if names is None or name in names}
        self.keys, self.references = {}, {}
        for name, found in self.clips.items():
            places = {role: there.get(name, []) for role, there in references.items()}
            more = resize, tools, lengths.get(name), lights.get(name)
            self.keys[name] = _key(name, {"result": found, **places}, *more)
            self.references[name] = _key(name, places, *more)
        self.lost = sorted(name for name in references.get("truth", {}).keys() - self.clips.keys()
                           if names is None or name in names)
        self.known = resume(out)
        self.done = {name: None for name in self.clips if name in self.known and "error" not in self.known[name]
                     and self.known[name].get("key") == self.keys[name]}
        self.rows: dict[str, Row] = {}

    @property
    def total(self) -> int:
        return len(self.clips) + len(self.lost)

    def nothing(self, name: str) -> Row | None:
        """What doing nothing scores on a clip, where this report has it of the very same references."""
        row = self.known.get(name, {})
        if name not in self.references or "error" in row or row.get("references") != self.references[name]:
            return None
        return {figure: row.get(figure) for figure in NOTHING}

    def finish(self, name: str, row: Row) -> None:
        if row != self.known.get(name):
            append(self.out, row)
        self.rows[name] = row


@dataclass(frozen=True)
class _Item:
    """An item's references; whatever one result does, the others are scored. nothing: where that is known already."""

    name: str
    folders: Mapping[str, Path]
    places: Mapping[str, list[Path]]
    resize: bool
    tools: Tools
    length: int | None
    light: Light | None
    stop: threading.Event
    nothing: Row | None

    def score(self, results: Mapping[int, list[Path]], folders: Mapping[int, Path]) -> dict[int, Row]:
        """The rows, or errors, of results by number: their files, and the folders that hold them."""
        rows: dict[int, Row] = {}
        try:
            references = {role: shots.open_one(self.name, role, found, self.folders[role])
                          for role, found in self.places.items()}
        except Exception as error:
            return dict.fromkeys(results, _failure(error))
        together: dict[int, dict[int, Clip]] = {}  # by length
        for number, found in results.items():
            try:
                clip = shots.open_one(self.name, "result", found, folders[number])
                shots.agree(self.name, {"result": clip, **references}, self.resize, self.length)
                together.setdefault(self.length or clip.frames, {})[number] = clip
            except Exception as error:
                rows[number] = _failure(error)
        for length, clips in together.items():
            rows |= self._compare(clips, references, length)
        return rows

    def _compare(self, clips: Mapping[int, Clip], references: Mapping[str, Clip], length: int) -> dict[int, Row]:
        first = next(iter(references.values()))
        size = first.width, first.height
        measures = Measures(references.keys(), size, self.tools, self.light)
        of_nothing = measures.of_nothing if self.nothing is None else []
        rows: dict[int, Row] = {}
        going = {}
        for number, clip in clips.items():
            resized = (clip.width, clip.height) != size
            bits = None if resized or "background" not in references else min(
                clip.bits, references["background"].bits, 16)
            going[number] = shots.pictures(self.name, clip, size, length), list(measures.of_result(bits))
            rows[number] = {"frames": length, "width": size[0], "height": size[1],
                            **dict.fromkeys((*COLUMNS, *NOTHING)), "tools": self.tools.names,
                            "jitter_reference": next((role for role in ("truth", "source") if role in references), None)
                            if "mask" in references else None,
                            "resized_from": [clip.width, clip.height] if resized else None}
        try:
            for scene in shots.scenes(self.name, references, size, length):
                if self.stop.is_set():
                    raise InputError("interrupted; run the same command again")
                for measure in of_nothing:
                    measure.add(scene)
                for number, (pictures, taken) in list(going.items()):
                    try:
                        shot = scene.of(next(pictures))
                        for measure in taken:
                            measure.add(shot)
                    except Exception as error:
                        rows[number] = _failure(error)
                        del going[number]
                if not going:
                    break
        except Exception as error:
            return rows | dict.fromkeys(going, _failure(error))
        for number, (_, taken) in going.items():
            rows[number] |= self.nothing or {}
            for measure in (*of_nothing, *taken):
                rows[number] |= {key: None if math.isnan(value) else value for key, value in measure.figures().items()}
        return rows


def _failure(error: Exception) -> Row:
    return {"error": str(error) if isinstance(error, HarmoVidError) else f"{type(error).__name__}: {error}"}


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Where clips are scored side by side, each works in one thread: more would only wait for each other."""
    torch = sys.modules.get("torch")  # there already where a measure works with it
    before = cv2.getNumThreads(), torch.get_num_threads() if torch else 1
    cv2.setNumThreads(1)
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        if torch:
            torch.set_num_threads(before[1])


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()


def _key(name: str, places: dict[str, list[Path]], resize: bool, tools: Tools, length: int | None,
         light: Light | None) -> str:
    """What a row depends on, in short: names, sizes and times of all files, the option, tools, the definitions."""
    digest = hashlib.sha256(f"{VERSION} {name} {resize} {tools.names}".encode())
    digest.update("\n".join(tools.weights).encode())
    if length is not None:
        digest.update(f"{length} frames\n".encode())
    if light is not None:
        digest.update(f"{light}, with the step's size\n".encode())
    for role, paths in places.items():
        for path in paths:
            for file in sorted(filter(_is_picture, path.iterdir())) if path.is_dir() else [path]:
                try:
                    status = file.stat()
                    state = f"{status.st_size} {status.st_mtime_ns}"
                except OSError:  # a dead link, say; opening the clip will tell
                    state = "missing"
                digest.update(f"{role}/{path.name}/{file.name} {state}\n".encode())
    return digest.hexdigest()[:16]
