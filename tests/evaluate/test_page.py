"""The page: whole HTML, no address but the paper's, every name as text, and what a browser makes of it."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from harmovid.errors import OutputError
from harmovid.evaluate import excerpts, page, report, tables
from harmovid.evaluate.page import check, table, write
from harmovid.evaluate.tables import Table
from tests.evaluate import scored

VOID = {"meta", "input", "line", "circle", "polyline", "polygon", "br"}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Parsed(HTMLParser):
    """Elements, their attributes, and the text of the page; fails where elements are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report with players, of a set with one odd name, a failure and seconds."""
    odd = "<b>&"
    folder = scored.make(tmp_path_factory.mktemp("page") / "set", {**scored.GAIN, odd: (1,) * 6})
    scored.films(folder, methods=("untouched", "nano", "reinhard", odd))
    rows = [scored.row(name, 15.0) for name, _ in scored.ITEMS]
    scored.write_rows(folder / "results" / "nano", [{"clip": rows[0]["clip"], "error": "is <i>broken</i>"}, *rows[1:]])
    (folder / "results" / "nano" / "seconds.jsonl").write_text('{"name": "a", "seconds": 3.0, "frames": 4}\n')
    found = report.gather([folder])
    return found, excerpts.show(found, 2)


@pytest.fixture(scope="module")
def text(made):
    return page.page(*made)


def test_it_parses_and_asks_for_nothing(text):
    found = Parsed(text)
    assert re.findall(r"https?://[^\s<\"]+", text) == ["https://arxiv.org/abs/2605.28811."] * 3
    assert "default-src 'none'" in next(meta["content"] for meta in found.all("meta")
                                        if meta.get("http-equiv") == "Content-Security-Policy")
    for _, attributes in found.tags:
        assert "src" not in attributes and not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#")
    assert {link["href"][1:] for link in found.all("a")} <= {attributes.get("id") for _, attributes in found.tags}


def test_names_and_messages_are_text(text):
    found = Parsed(text)
    assert "<b>&" in found.text and "is <i>broken</i>" in found.text
    assert not found.all("b") and not found.all("i")


def test_tables_are_real_tables(text, made):
    found = Parsed(text)
    assert len(found.all("table")) == len(found.all("caption")) > 8
    assert all(cell.get("scope") in ("col", "row") for cell in found.all("th"))
    for cell in ("+1.00", "−10.00", tables.DIFFER, "not measured here"):
        assert cell in found.text
    assert "5 of 6 items (1 failed" in found.text


def test_players_have_labels_and_their_clips(text, made):
    found, shown = Parsed(text), made[1]
    assert len(found.all("video")) == 2 * len(shown.players) == 12
    assert all(video["aria-label"] and "muted" in video for video in found.all("video"))
    sliders = found.all("input")
    assert len(sliders) == 6 and all(slider["type"] == "range" and slider["aria-valuetext"] for slider in sliders)
    assert len(re.findall(r"<label[^>]*>wipe <input", text)) == 6 == len(re.findall(r"<label>left: <select", text))
    assert {int(player["data-result"]) for player in found.all("figure") if "data-result" in player} \
        <= set(range(len(shown.excerpts)))
    assert len(re.findall("Luminance of the person over time</figcaption>", text)) == 6
    assert "Seconds against frames" in text


def test_without_players_and_with_some_left_out(made):
    found, shown = made
    assert "<video" not in page.page(found)
    assert "3 of the worst items have no player" in page.page(
        found, excerpts.Shown(shown.excerpts, shown.players, 3, ("x & y",)))
    assert "x &amp; y" in page.page(found, excerpts.Shown(remarks=("x & y",)))


def test_a_table_by_hand():
    rows = (("x", "+1.0 [+0.5, +1.5]"), ("y", "2"))
    found = table(Table("t", ("m", "a"), rows, best=frozenset({(1, 1)}), notes=("n",)))
    assert '<td>+1.0<span class="interval"> [+0.5, +1.5]</span></td>' in found
    assert "<td><strong>2</strong></td>" in found and '<th scope="row">y</th>' in found and ">n</p>" in found


def test_the_largest_page_stays_under_20_mb():
    assert excerpts.BUDGET * 4 / 3 < 18.1e6


def test_writing(made, tmp_path):
    files = write(*made, tmp_path / "new" / "report")
    assert [path.name for path in files] == ["report.md", "report.html"]
    first = [path.read_bytes() for path in files]
    assert sorted(path.name for path in files[0].parent.iterdir()) == ["report.html", "report.md"]
    with pytest.raises(OutputError, match="pass --overwrite"):
        write(*made, tmp_path / "new" / "report")
    write(*made, tmp_path / "new" / "report", overwrite=True)
    assert [path.read_bytes() for path in files] == first  # the same report gives the same files
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file; name a folder"):
        check(tmp_path / "file")


def test_a_folder_that_cannot_be_written(made, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".report.md.part").mkdir()  # no file can take this name
    with pytest.raises(OutputError, match="cannot be written"):
        write(*made, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".report.md.part"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.parametrize("scheme", [0, 1])
def test_a_browser_shows_it(text, tmp_path, scheme):
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    shot = tmp_path / "shot.png"
    ran = subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1300,4000",
         f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=5000",
         f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={shot}", str(tmp_path / "report.html")],
        capture_output=True, text=True, timeout=120)
    picture = cv2.imread(str(shot))
    assert picture is not None and picture.shape[:2] == (4000, 1300), ran.stderr
    ground = np.median(picture.reshape(-1, 3), 0).mean()
    assert ground > 240 if scheme else ground < 40
    assert 0.02 < (np.abs(picture.astype(int).mean(2) - ground) > 40).mean() < 0.6
    assert not re.search(r"CONSOLE.*(Uncaught|Refused|violates)", ran.stderr), ran.stderr
