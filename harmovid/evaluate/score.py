"""Scores for a folder of result clips, ours or a peer's: one JSON line per clip, a summary, a table."""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from harmovid.errors import HarmoVidError, InputError, OptionError, OutputError
from harmovid.evaluate.measures import COLUMNS, NOTHING, Shot, Tools, measures
from harmovid.video.clip import Clip, Frame
from harmovid.video.color import LUMA_BT709, SRGB, convert
from harmovid.video.io import open_clip, read
from harmovid.video.stills import SUFFIXES as PICTURES

Row = dict[str, Any]

VERSION = 2  # of the measures' definitions: raise it, and rows of the old ones are scored anew
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mxf", ".mpg", ".mpeg", ".ts", ".m2ts", ".y4m",
          ".gif", ".wmv", ".flv", ".ogv")


def score_folder(results: Path, out: Path, *, truth: Path | None = None, masks: Path | None = None,
                 source: Path | None = None, background: Path | None = None, resize: bool = False,
                 workers: int = 1, tools: Tools | None = None, names: Collection[str] | None = None,
                 frames: Mapping[str, int] | None = None,
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
        on_clip: called with (name, clips done, clips in all) after each clip, skipped ones too.

    Returns:
        The rows of all clips, by name: "clip", "frames", "width", "height", the figures of `COLUMNS` and
        `NOTHING` (None where what they need was not given, or they are undefined), or "error".

    Raises:
        OptionError: nothing to compare with.
        InputError: a folder is missing or holds no clip, or `out` is some other file.
        OutputError: `out` cannot be written.
    """
    given = {role: folder for role, folder in
             (("truth", truth), ("source", source), ("mask", masks), ("background", background)) if folder}
    if "truth" not in given and not ("mask" in given and len(given) > 1):
        raise OptionError("there is nothing to compare the results with; give --truth, "
                          "or --masks with --source or --background")
    clips = {name: places for name, places in find_clips(results).items() if names is None or name in names}
    references = {role: find_clips(folder, stills=role in ("mask", "background"))
                  for role, folder in given.items()}
    inputs = {name: {"result": places, **{role: found.get(name, []) for role, found in references.items()}}
              for name, places in clips.items()}
    folders = {"result": results, **given}
    tools = tools or Tools()
    lengths = dict(frames or {})
    keys = {name: _key(name, places, resize, tools, lengths.get(name)) for name, places in inputs.items()}
    lost = sorted(name for name in references.get("truth", {}).keys() - clips.keys() if names is None or name in names)
    known = _resume(out)
    rows: dict[str, Row] = {}
    stop = threading.Event()

    def finish(name: str, row: Row) -> None:
        if row != known.get(name):
            _append(out, row)
        rows[name] = row
        if on_clip:
            on_clip(name, len(rows), len(clips) + len(lost))

    done = [name for name in clips if name in known and "error" not in known[name]
            and known[name].get("key") == keys[name]]
    for name in done:
        finish(name, known[name])
    for name in lost:
        finish(name, {"clip": name, "error": f"{results} holds no result {name}, only its truth is there; "
                                             "render it, or leave it out of the truth"})
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        running = {pool.submit(_try_clip, name, places, folders, resize, tools, lengths.get(name), stop): name
                   for name, places in inputs.items() if name not in done}
        for future in as_completed(running):
            name = running[future]
            finish(name, {"clip": name, **future.result(), "key": keys[name]})
    finally:
        stop.set()  # interrupted: the clip in work ends at its next frame
        pool.shutdown(cancel_futures=True)
    return [rows[name] for name in sorted(rows)]


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


def read_rows(report: Path) -> list[Row]:
    """The rows of a report, by name; of a clip's several lines, the last.

    Raises:
        InputError: there is no such file, or it is no report.
    """
    if not report.is_file():
        raise InputError(f"there is no report {report}; run `harmovid evaluate score RESULTS -o {report}`")
    return [row for _, row in sorted(_parse(report)[0].items())]


def summary(rows: list[Row]) -> dict[str, Any]:
    """Means over clips.

    Returns:
        "clips": how many were scored, "failed": how many have an error, "mean": per figure of `COLUMNS`
        and `NOTHING` its mean over the clips that have it, or None, "count": per figure, how many have
        it. The mean of PSNR is the mean of decibels.
    """
    good = [row for row in rows if "error" not in row]
    mean: dict[str, float | None] = {}
    count: dict[str, int] = {}
    for name in (*COLUMNS, *NOTHING):
        values = [row[name] for row in good if row.get(name) is not None]
        # fsum rounds once, so the order of the rows can't show.
        mean[name], count[name] = math.fsum(values) / len(values) if values else None, len(values)
    return {"clips": len(good), "failed": len(rows) - len(good), "mean": mean, "count": count}


def table(rows: list[Row]) -> str:
    """The rows in Markdown: worst clip first, then the mean, the do-nothing row, the tools, and the failures.

    The worst is by the first figure of `COLUMNS` that any clip has; figures that no clip has are left
    out. The do-nothing row is the mean of the source in the result's place.
    """
    good = [row for row in rows if "error" not in row]
    failed = sorted((row["clip"], row["error"]) for row in rows if "error" in row)
    totals = summary(rows)
    names = [name for name in COLUMNS if totals["count"][name]]
    nothing = {name: totals["mean"][key] for key, name in NOTHING.items()}

    def goodness(row: Row) -> tuple[float, str]:
        value = row.get(names[0]) if names else None
        if value is None:
            return math.inf, row["clip"]
        better = COLUMNS[names[0]].better
        return (value * better if better else -abs(value - 1)), row["clip"]

    def line(clip: str, frames: int, row: Row) -> str:
        values = [(row.get(name), COLUMNS[name].decimals) for name in names]
        cells = ["–" if value is None else f"{value:.{decimals}f}" for value, decimals in values]
        return f"| {' | '.join([clip.replace('|', '¦'), str(frames), *cells])} |"

    lines = []
    if good:
        frames = sum(row["frames"] for row in good)
        lines += [f"| {' | '.join(['clip', 'frames', *(COLUMNS[name].heading for name in names)])} |",
                  "|---|" + "---:|" * (len(names) + 1),
                  *(line(row["clip"], row["frames"], row) for row in sorted(good, key=goodness)),
                  line(f"**mean of {len(good)}**", frames, totals["mean"])]
        if any(value is not None for value in nothing.values()):
            lines.append(line("do nothing (source)", frames, nothing))
        tools = sorted({f"{measure}: {tool}" for row in good for measure, tool in row.get("tools", {}).items()})
        lines += ["", "; ".join(tools)] if tools else []
    if failed:
        lines += [*([""] if lines else []), f"{len(failed)} of {len(rows)} clips not scored:", "",
                  *(f"- {clip}: {error}" for clip, error in failed)]
    return "".join(f"{text}\n" for text in lines)


def _try_clip(name: str, places: dict[str, list[Path]], folders: dict[str, Path], resize: bool, tools: Tools,
              length: int | None, stop: threading.Event) -> Row:
    try:
        clips = {role: _open(name, role, found, folders[role]) for role, found in places.items()}
        return _score(name, clips, resize, tools, length, stop)
    except HarmoVidError as error:
        return {"error": str(error)}
    except Exception as error:  # whatever one clip does, the others are scored
        return {"error": f"{type(error).__name__}: {error}"}


def _score(name: str, clips: dict[str, Clip], resize: bool, tools: Tools, length: int | None,
           stop: threading.Event) -> Row:
    result = clips["result"]
    size = _agree(name, clips, resize, length)
    length = length or result.frames
    resized = size != (result.width, result.height)
    row: Row = {"frames": length, "width": size[0], "height": size[1],
                **dict.fromkeys((*COLUMNS, *NOTHING)),
                "tools": tools.names, "jitter_reference": None,
                "resized_from": [result.width, result.height] if resized else None}
    if "mask" in clips:
        row["jitter_reference"] = "truth" if "truth" in clips else "source" if "source" in clips else None
    bits = None if resized or "background" not in clips else min(result.bits, clips["background"].bits, 16)
    taken = list(measures(clips.keys(), size, bits, tools))
    for shot in _shots(name, clips, size, length):
        if stop.is_set():
            raise InputError("interrupted; run the same command again")
        for measure in taken:
            measure.add(shot)
    for measure in taken:
        row |= {key: None if math.isnan(value) else value for key, value in measure.figures().items()}
    return row


def _open(name: str, role: str, places: list[Path], folder: Path) -> Clip:
    if not places:
        there = [path.name for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        some = ", ".join(there[:4]) + (", …" if len(there) > 4 else "")
        raise InputError(f"clip {name} has no {role}: {folder} holds {some}; name its {role} {name} with any "
                         "suffix, or take the clip out of the results")
    if len(places) > 1:
        raise InputError(f"{folder} holds {len(places)} clips named {name}: "
                         f"{', '.join(path.name for path in places)}; keep one, or rename")
    return open_clip(places[0])


def _agree(name: str, clips: dict[str, Clip], resize: bool, length: int | None) -> tuple[int, int]:
    """Check lengths and sizes; the (width, height) that all is compared at."""
    sizes = {role: (clip.width, clip.height) for role, clip in clips.items()}
    texts = {role: f"{width}×{height}" for role, (width, height) in sizes.items()}
    result = clips["result"]
    first, *others = (role for role in clips if role != "result")
    for role in others:
        if sizes[role] != sizes[first]:
            raise InputError(f"the {role} of clip {name} is {texts[role]}, its {first} {texts[first]}; make "
                             "both one size, only results can be resized here")
    if sizes["result"] != sizes[first] and not resize:
        raise InputError(f"clip {name} is {texts['result']}, its {first} {texts[first]}; render it at that "
                         "size, or pass --resize to bring the result to it")
    for role, clip in clips.items():
        if clip.frames == result.frames or _is_still(role, clip):
            continue
        if length is not None and min(clip.frames, result.frames) >= length:
            continue  # only so many are looked at
        if role == "background" and clip.frames > result.frames:
            continue  # however a shorter foreground was fitted, the background began at its start
        apart = abs(clip.frames - result.frames)
        both = min(clip.frames, result.frames)
        why = ("they are one frame apart, one of the two has lost or doubled a frame, mostly the last"
               if apart == 1 else f"they are {apart} frames apart")
        raise InputError(f"clip {name} has {result.frames} frames, its {role} {clip.frames}: {why}; render "
                         f"it again, or cut both to {both} frames where their starts agree")
    return sizes[first]


def _is_still(role: str, clip: Clip) -> bool:
    return role in ("mask", "background") and clip.frames == 1


def _shots(name: str, clips: dict[str, Clip], size: tuple[int, int], length: int) -> Iterator[Shot]:
    streams: dict[str, Iterator[Frame]] = {}
    for role, clip in clips.items():
        if _is_still(role, clip):
            streams[role] = repeat(next(iter(read(clip))))
        else:
            streams[role] = iter(read(clip, range(length)))
    for number in range(length):
        light: dict[str, np.ndarray] = {}
        alpha = np.zeros(size[::-1], np.float32)
        for role, stream in streams.items():
            frame = next(stream, None)
            if frame is None:
                raise InputError(f"the {role} of clip {name} ends at frame {number} of {length}; it is "
                                 "damaged: copy or export it again")
            if role == "mask":
                # A matte's code values are the alpha itself, whatever transfer its file claims.
                alpha = np.clip(frame.rgb @ LUMA_BT709, 0, 1)
                continue
            if role in ("result", "truth") and frame.alpha is not None and frame.alpha.min() < 0.99:
                raise InputError(f"the {role} of clip {name} is partly transparent at frame {number}; score "
                                 "takes finished pictures: render it with --output comp, or put it over its "
                                 "background")
            rgb = convert(frame.rgb, clips[role].tags, SRGB)
            if not np.isfinite(rgb).all():
                raise InputError(f"the {role} of clip {name} holds NaN or infinite values at frame {number}; "
                                 "render that frame again")
            light[role] = _to_size(rgb, size) if role == "result" else rgb
        yield Shot(light, {role: np.clip(rgb, 0, 1) for role, rgb in light.items()}, alpha)


def _to_size(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    smaller = size[0] * size[1] < width * height
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()


def _key(name: str, places: dict[str, list[Path]], resize: bool, tools: Tools, length: int | None) -> str:
    """What a row depends on, in short: names, sizes and times of all files, the option, tools, the definitions."""
    digest = hashlib.sha256(f"{VERSION} {name} {resize} {tools.names}".encode())
    if length is not None:
        digest.update(f"{length} frames\n".encode())
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


def _parse(report: Path) -> tuple[dict[str, Row], bytes]:
    """The rows of a report by clip, and its whole lines; a last line torn by a crash is left out."""
    rows: dict[str, Row] = {}
    whole = b""
    lines = report.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows[row["clip"]] = row
        except (ValueError, KeyError, TypeError):
            start = b'{"clip"'
            if number == len(lines) and not line.endswith(b"\n") and line[: len(start)] == start[: len(line)]:
                break
            raise InputError(f"line {number} of {report} is no row of a score; name another file, or delete "
                             "that line") from None
        whole += line if line.endswith(b"\n") else line + b"\n"
    return rows, whole


def _resume(out: Path) -> dict[str, Row]:
    """The rows that are in `out` already; mends its end, so that lines can be appended."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not out.exists():
            out.touch()
        rows, whole = _parse(out)
        if out.stat().st_size != len(whole):
            partial = out.with_name(out.name + ".part")
            partial.write_bytes(whole)
            os.replace(partial, out)
        return rows
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); name another file") from error


def _append(out: Path, row: Row) -> None:
    try:
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); mend that and run the same command "
                          "again, what is scored is kept") from error
