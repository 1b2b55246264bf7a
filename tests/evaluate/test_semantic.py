import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import (
    AutoConfig,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    ViTConfig,
    ViTModel,
)

from harmovid.errors import InputError
from harmovid.evaluate import semantic
from harmovid.evaluate.semantic import (
    ClipScore,
    FaceEmbedder,
    Identity,
    clip_score,
    identity,
    load_clip,
    load_face,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


class Corner:
    """Embeds a picture as the colour of its first pixel; keeps what it was shown."""

    name = "corner colour"

    def __init__(self):
        self.seen = []

    def embed(self, frames):
        self.seen.append(frames)
        return frames[:, 0, 0]


class Mean(Corner):
    name = "mean colour"

    def embed(self, frames):
        self.seen.append(frames)
        return frames.mean(axis=(1, 2))


def coloured(*colours):
    return np.stack([np.broadcast_to(np.float32(colour), (4, 5, 3)) for colour in colours])


class TestClipScore:
    def test_mean_cosine_of_neighbours(self):
        clip = coloured([1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 3, 0])
        score = ClipScore(Corner())
        assert math.isnan(score.value) and score.name == "corner colour"
        for frame in clip:
            score.add(frame)
        assert score.value == pytest.approx((2 * math.sqrt(0.5) + 1) / 3, abs=1e-7)
        assert clip_score(Corner(), clip) == score.value

    def test_a_still_is_one_and_a_frame_alone_is_nan(self):
        assert clip_score(Mean(), np.repeat(noise(1, 6, 6, 3), 4, 0)) == pytest.approx(1, abs=1e-12)
        assert math.isnan(clip_score(Mean(), noise(1, 6, 6, 3)))

    def test_what_has_no_direction_counts_nothing(self):
        clip = coloured([1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0])
        assert clip_score(Corner(), clip) == pytest.approx(math.sqrt(0.5), abs=1e-7)
        clip[1] = np.nan
        assert clip_score(Corner(), clip) == pytest.approx(math.sqrt(0.5), abs=1e-7)

    def test_of_many_pairs_some_are_looked_at(self):
        clip = noise(11, 4, 5, 3)
        shown = Corner()
        score = ClipScore(shown, every=4)
        for frame in clip:
            score.add(frame)
        pairs = [clip_score(Corner(), clip[first : first + 2]) for first in (0, 4, 8)]
        assert score.value == pytest.approx(np.mean(pairs), abs=1e-12)
        assert [frames[0].tolist() for frames in shown.seen] == clip[[0, 1, 4, 5, 8, 9]].tolist()

    def test_each_frame_is_embedded_once(self):
        embedder = Mean()
        clip_score(embedder, noise(5, 6, 6, 3))
        assert [len(frames) for frames in embedder.seen] == [1] * 5

    def test_integers_are_refused(self):
        with pytest.raises(InputError, match="divide"):
            ClipScore(Mean()).add(np.zeros((4, 4, 3), np.uint8))


class TestIdentity:
    def test_a_face_that_was_lost_counts_as_none_and_one_that_never_was_not_at_all(self):
        class Bright(Mean):
            def embed(self, frames: np.ndarray) -> np.ndarray:
                found = super().embed(frames)
                return np.where(frames.mean((1, 2, 3), keepdims=True)[:, 0, 0] > 0.3, found, np.nan)

        person, gone, alpha = np.full((8, 8, 3), 0.6, np.float32), np.full((8, 8, 3), 0.1, np.float32), np.ones((8, 8))
        pooled = Identity(Bright())
        pooled.add(person, person, alpha)
        pooled.add(gone, person, alpha)
        assert pooled.count == 2 and pooled.value == pytest.approx(0.5)
        pooled.add(person, gone, alpha)
        pooled.add(gone, gone, alpha)
        assert pooled.count == 2

    def test_sees_the_persons_box_on_grey(self):
        result, source, alpha = noise(20, 30, 3), noise(20, 30, 3, seed=1), np.zeros((20, 30), np.float32)
        alpha[4:12, 6:20] = 1
        alpha[4, 6], alpha[15, 25] = 0.25, 0.5  # not above one half: neither draws the box
        embedder = Mean()
        pooled = Identity(embedder)
        pooled.add(result, source, alpha)
        seen = np.concatenate(embedder.seen)
        assert seen.shape == (2, 8, 14, 3) and pooled.name == "mean colour, person's box"
        assert np.allclose(seen[0, 1:], result[5:12, 6:20]) and np.allclose(seen[1, 1:], source[5:12, 6:20])
        assert np.allclose(seen[0, 0, 0], 0.25 * result[4, 6] + 0.75 * 0.5)
        one, other = seen.mean(axis=(1, 2)).astype(np.float64)
        assert pooled.value == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-7)

    def test_background_has_no_say_and_the_source_is_one(self):
        source, alpha = noise(3, 20, 30, 3), np.zeros((3, 20, 30), np.float32)
        alpha[:, 4:12, 6:20] = 1
        alpha[:, 8, 10] = 0
        elsewhere = np.where(alpha[..., None] > 0, source, noise(3, 20, 30, 3, seed=5))
        assert identity(Mean(), elsewhere, source, alpha) == pytest.approx(1, abs=1e-9)
        assert identity(Mean(), source * np.float32([1, 0.2, 0.2]), source, alpha) < 0.9

    def test_frames_without_a_person_or_a_find_count_nothing(self):
        class Rare(Mean):
            def embed(self, frames):
                found = super().embed(frames)
                return found * np.nan if frames[0, 0, 0, 0] > 0.9 else found

        source, alpha = np.full((4, 8, 8, 3), 0.5, np.float32), np.ones((4, 8, 8), np.float32)
        alpha[1], source[2] = 0, 0.95
        pooled = Identity(Rare())
        for t in range(4):
            pooled.add(source[t], source[t], alpha[t])
        assert pooled.count == 2 and pooled.value == pytest.approx(1)
        assert math.isnan(identity(Rare(), source[1:3], source[1:3], alpha[1:3]))

    def test_shapes_must_agree(self):
        with pytest.raises(InputError, match="resize the mask"):
            Identity(Mean()).add(noise(8, 8, 3), noise(8, 8, 3), noise(8, 9))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A tiny CLIP with random weights, whole, in the layout that CLIPs are published in; the folder and the model."""
    torch.manual_seed(0)
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "vocab_size": 32, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)).eval()
    folder = tmp_path_factory.mktemp("hub") / "clip-vit-tiny"
    model.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder, model


class TestClip:
    def test_embeds_as_the_whole_model_does(self, clip_folder, capfd):
        folder, model = clip_folder
        embedder = load_clip(folder)
        assert capfd.readouterr() == ("", "")
        frames = noise(2, 40, 70, 3)
        found = embedder.embed(frames)
        assert found.shape == (2, 12) and found.dtype == np.float32 and embedder.name == "clip-vit-tiny"
        # By hand: the shorter side to 32 and the middle cut out, normalised by CLIP's own statistics.
        pixels = []
        for frame in frames:
            small = functional.interpolate(torch.from_numpy(frame).permute(2, 0, 1)[None], size=(32, 56),
                                           mode="bicubic", antialias=True)[0, :, :, 12:44]
            mean, deviation = (torch.tensor(v)[:, None, None] for v in
                               ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]))
            pixels.append((small.clamp(0, 1) - mean) / deviation)
        with torch.no_grad():
            expected = model(input_ids=torch.tensor([[0, 5, 1]]), pixel_values=torch.stack(pixels)).image_embeds.numpy()
        cosines = (found * expected).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        assert cosines == pytest.approx(1, abs=1e-4)
        crossed = found[0] @ expected[1] / np.linalg.norm(found[0]) / np.linalg.norm(expected[1])
        assert crossed < 1 - 1e-3

    def test_score_of_a_clip(self, clip_folder):
        embedder = load_clip(clip_folder[0])
        still = np.repeat(noise(1, 36, 36, 3), 2, 0)
        assert clip_score(embedder, still) == pytest.approx(1, abs=1e-6)
        assert clip_score(embedder, np.stack([still[0], 1 - still[0]])) < 1 - 1e-4

    def test_the_vision_tower_alone_serves(self, clip_folder, tmp_path):
        folder, model = clip_folder
        tower = CLIPVisionConfig(**{**model.config.vision_config.to_dict(), "projection_dim": 12})
        CLIPVisionModelWithProjection.from_pretrained(folder, config=tower).save_pretrained(tmp_path / "tower")
        CLIPImageProcessorPil.from_pretrained(folder).save_pretrained(tmp_path / "tower")
        alone, frames = load_clip(tmp_path / "tower"), noise(1, 36, 36, 3)
        assert np.allclose(alone.embed(frames), load_clip(folder).embed(frames), atol=1e-6)
        assert alone.name == "CLIP tower"

    def test_weights_that_are_missing_are_not_made_up(self, clip_folder, tmp_path):
        folder, model = clip_folder
        CLIPVisionModel(CLIPVisionConfig(**model.config.vision_config.to_dict())).save_pretrained(tmp_path)
        CLIPImageProcessorPil.from_pretrained(folder).save_pretrained(tmp_path)
        with pytest.raises(InputError, match=r"lacks 1 weights.*visual_projection"):
            load_clip(tmp_path)

    def test_what_is_no_clip_is_not_called_one(self, tmp_path):
        ViTModel(ViTConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                           image_size=16, patch_size=8)).save_pretrained(tmp_path)
        with pytest.raises(InputError, match="is a vit, not a CLIP"):
            load_clip(tmp_path)

    def test_a_damaged_folder_is_told(self, clip_folder, tmp_path):
        with pytest.raises(InputError, match="cannot be read as a CLIP"):
            load_clip(tmp_path)
        for file in clip_folder[0].iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes()[:-50] if file.suffix == ".safetensors"
                                               else file.read_bytes())
        with pytest.raises(InputError, match=r"cannot be read as a CLIP.*model\.safetensors"):
            load_clip(tmp_path)

    def test_a_folder_stays_here_and_a_name_goes_to_the_hub(self, clip_folder, monkeypatch):
        asked = []

        def refuse(name, local_files_only):
            asked.append((name, local_files_only))
            raise OSError("no network")

        monkeypatch.setattr(AutoConfig, "from_pretrained", refuse)
        for name in (str(clip_folder[0]), "openai/clip-vit-base-patch32"):
            with pytest.raises(InputError, match="no network"):
                load_clip(name)
        assert asked == [(str(clip_folder[0]), True), ("openai/clip-vit-base-patch32", False)]
        with pytest.raises(InputError, match="neither a folder nor a name on the hub"):
            load_clip("no such folder")


class TestFace:
    def test_the_largest_face_is_embedded_and_none_is_nan(self):
        shown = []

        class Detector:
            def setInputSize(self, size):
                self.size = size

            def detect(self, picture):
                assert picture.dtype == np.uint8 and self.size == picture.shape[1::-1]
                shown.append(picture)
                faces = np.zeros((2, 15), np.float32)
                faces[:, 2:4] = [[3, 4], [5, 6]]
                return 1, faces if picture.any() else None

        class Recognizer:
            def alignCrop(self, picture, face):
                return face

            def feature(self, face):
                return np.full((1, 128), face[2], np.float32)

        frames = np.zeros((2, 9, 7, 3), np.float32)
        frames[0, ..., 0] = 1  # red
        found = FaceEmbedder(Detector(), Recognizer()).embed(frames)
        assert (found[0] == 5).all() and np.isnan(found[1]).all()
        assert shown[0][0, 0].tolist() == [0, 0, 255]  # OpenCV's order

    def test_threads_wait_for_each_other(self):
        class Detector:
            def setInputSize(self, size):
                self.size = size

            def detect(self, picture):
                time.sleep(0.002)
                assert self.size == picture.shape[1::-1]
                return 1, np.ones((1, 15), np.float32)

        class Recognizer:
            def alignCrop(self, picture, face):
                return picture

            def feature(self, picture):
                return np.full((1, 128), picture.shape[0], np.float32)

        embedder = FaceEmbedder(Detector(), Recognizer())
        sizes = [4 + n % 5 for n in range(20)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda size: embedder.embed(np.zeros((1, size, 9, 3), np.float32)), sizes))
        assert [row[0, 0] for row in found] == sizes

    def test_missing_or_damaged_files_are_told(self, tmp_path):
        with pytest.raises(InputError, match="face_detection_yunet"):
            load_face(tmp_path)
        for name in semantic._FACE_FILES:
            (tmp_path / name).write_bytes(b"half a file")
        with pytest.raises(InputError, match="OpenCV cannot read"):
            load_face(tmp_path)
