import runpy
import sys

import numpy as np
import pytest

from harmovid.errors import MissingExtra
from harmovid.light import keys
from harmovid.light.basis import HEIGHT, Basis, basis, point_light, project
from harmovid.light.environment import directions, solid_angles, still
from harmovid.lightstage.buffers import Transfer
from harmovid.lightstage.scene import Performance
from tests.lightstage.stage import ball, filmed, material, plane

pytest.importorskip("embreex", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.lightstage import radiance
from harmovid.lightstage.radiance import StageConfig, transfer

BARE = StageConfig(gloss=False, bounce=False, scatter=False)
SIZE = (48, 48)


def picture(frame: Transfer, light: np.ndarray) -> np.ndarray:
    """(H, W, 3), premultiplied."""
    flat = np.zeros((frame.alpha.size, 3), np.float32)
    flat[frame.place] = frame.relit(light)
    return flat.reshape(*frame.alpha.shape, 3) * frame.alpha[..., None]


def sphere() -> tuple[np.ndarray, np.ndarray]:
    """Normals of the ball that fills a picture of SIZE, (H, W, 3), and where it is by two pixels inside."""
    centres = (np.arange(48) + 0.5 - 24) / 48 * 2 * np.tan(0.15)
    x, y = np.meshgrid(centres, -centres)
    rays = np.stack([x, y, -np.ones_like(x)], -1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    b = rays[..., 2]
    under = b * b - (1 - 0.01)
    far = -b - np.sqrt(np.maximum(under, 0))
    return (rays * far[..., None] + [0, 0, 1]) / 0.1, under > 0.0015


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a - b).mean()))


@pytest.fixture(scope="module")
def lone() -> Transfer:
    return transfer(filmed(ball(material((0.8, 0.5, 0.2)))), 0, SIZE, BARE)


def test_a_uniform_white_light_gives_albedo(lone):
    shown = lone.relit(np.ones((512, 3), np.float32))
    assert np.allclose(shown, [0.8, 0.5, 0.2], rtol=0.04)
    assert np.allclose(shown.mean(0), [0.8, 0.5, 0.2], rtol=0.01)


def test_a_uniform_white_light_gives_albedo_times_what_is_open():
    # A level plane beneath a ball that touches it nowhere: the ball at height h hides (r/h)² cos θ of the sky, and more
    # exactly, for a point under its middle, sin² of its half angle (Lambert's form factor of a sphere).
    scene = filmed(plane(material((0.6, 0.6, 0.6)), 0.0), ball(material(), centre=(0, 0.3, 0), radius=0.1), angle=0.02)
    scene.camera.pose[:, :3, :3] = [[1, 0, 0], [0, 0.866, 0.5], [0, -0.5, 0.866]]
    scene.camera.pose[:, :3, 3] = [0, 0.1, 0.1 * np.sqrt(3)]  # looks down at the origin, below the ball
    open_ = transfer(scene, 0, (16, 16), BARE).relit(np.ones((512, 3), np.float32)).mean()
    assert open_ == pytest.approx(0.6 * (1 - (0.1 / 0.3) ** 2), rel=0.02)


@pytest.mark.parametrize("towards", [(0, 0.5, 1), (-1, 0.2, 0.3), (0.2, -1, 0.5)])
def test_a_shaded_sphere_matches_the_closed_form(lone, towards):
    normals, inside = sphere()
    towards = np.array(towards) / np.linalg.norm(towards)
    wanted = np.maximum(normals @ towards, 0)[..., None] * [0.8, 0.5, 0.2]
    got = picture(lone, point_light(towards, (np.pi,) * 3))
    assert psnr(got[inside], wanted[inside]) > 33


def test_a_sphere_under_a_hemisphere_matches_the_closed_form(lone):
    # Light from the upper half: E = (1 + n·up) / 2.
    normals, inside = sphere()
    light = np.clip(basis().directions[:, 1:] / 0.15 + 0.5, 0, 1)[:, :1].repeat(3, 1)
    wanted = (1 + normals[..., 1:2]) / 2 * np.array([0.8, 0.5, 0.2])
    assert psnr(picture(lone, light)[inside], wanted[inside]) > 38


def test_alpha_is_coverage(lone):
    _, inside = sphere()
    assert (lone.alpha[inside] == 1).all()
    radius = np.tan(np.arcsin(0.1)) / np.tan(0.15) * 24
    assert lone.alpha.sum() == pytest.approx(np.pi * radius**2, rel=0.01)


def test_light_from_behind_makes_a_rim_and_a_dark_face():
    shiny = transfer(filmed(ball(material(reflectance=0.04))), 0, SIZE)
    shown = picture(shiny, point_light((0.15, 0.3, -1), (3, 3, 3))).mean(-1)
    _, inside = sphere()
    edge = (shiny.alpha > 0.5) & ~inside
    assert shown[24, 24] < 0.01
    assert np.sort(shown[edge])[-8:].mean() > 20 * max(shown[24, 24], 1e-3)


def test_light_from_the_left_brightens_the_left(lone):
    shown = picture(lone, point_light((-1, 0, 0.2), (3, 3, 3))).mean(-1)
    assert shown[:, :24].sum() > 10 * shown[:, 24:].sum()


def test_one_ball_shades_another_softly():
    # A small ball stands between the light and the upper front of a large one.
    hidden = filmed(ball(material()), ball(material(), centre=(0, 0.13, 0.135), radius=0.028))
    alone = transfer(filmed(ball(material())), 0, SIZE, BARE)
    frame = transfer(hidden, 0, SIZE, BARE)
    light = point_light((0, 0.07, 0.055), (3, 3, 3))
    share = picture(frame, light).mean(-1) / np.maximum(picture(alone, light).mean(-1), 1e-3)
    upper = share[6:26, 24]
    assert upper.min() < 0.1 and upper.max() > 0.9
    assert ((upper > 0.15) & (upper < 0.85)).any()


def test_a_bounce_brings_the_neighbours_colour():
    floor = plane(material((0.9, 0.1, 0.1)), -0.1)
    with_, without = (transfer(filmed(ball(material()), floor), 0, SIZE, StageConfig(gloss=False, bounce=b))
                      for b in (True, False))
    light = point_light((0, 1, 0), (3, 3, 3))
    below = (slice(30, 34), slice(22, 26))
    gained = (picture(with_, light) - picture(without, light))[below].mean((0, 1))
    assert gained[0] > 0.02 and gained[0] > 5 * gained[1]


def test_skin_wraps_red_past_the_terminator():
    skin = transfer(filmed(ball(material(scatter=0.3))), 0, SIZE, StageConfig(gloss=False, bounce=False))
    shown = picture(skin, point_light((-1, 0, 0), (3, 3, 3)))
    dark = shown[20:28, 25:28].mean((0, 1))  # just past the terminator
    assert dark[0] > 0.005 and dark[0] > 1.5 * dark[2]


def test_hair_shows_its_highlight_across_the_strand():
    made = material((0.05, 0.03, 0.02), roughness=0.3, fibre=True)
    surface = ball(made)
    strand = np.cross(surface.vertices[0], [0, 0, 1.0]) + 1e-6  # rings around the axis of view
    strand = np.cross(surface.vertices[0], strand)
    strand /= np.linalg.norm(strand, axis=1, keepdims=True)
    combed = filmed(surface.__class__(**{**vars(surface), "strand": strand[None].astype(np.float32)}))
    frame = transfer(combed, 0, SIZE, StageConfig(bounce=False))
    assert np.isfinite(frame.diffuse).all() and (frame.white >= 0).all()
    shown = picture(frame, point_light((0, 0.3, 1), (3, 3, 3))).mean(-1)
    assert shown.max() > 4 * np.median(shown[frame.alpha > 0.9])


def combed(**more: object) -> Performance:
    """A ball of dark hair, whose strands run from pole to pole."""
    surface = ball(material((0.3, 0.2, 0.1), roughness=0.3, fibre=True), **more)  # type: ignore[arg-type]
    strand = np.cross(np.cross(surface.vertices[0], [0, 1.0, 0]), surface.vertices[0]) + 1e-9
    strand /= np.linalg.norm(strand, axis=1, keepdims=True)
    return filmed(surface.__class__(**{**vars(surface), "strand": strand[None].astype(np.float32)}))


def test_light_goes_through_hair_from_behind():
    shown = picture(transfer(combed(), 0, SIZE, StageConfig(bounce=False)), point_light((0.5, 0, -0.87), (3, 3, 3)))
    dull = picture(transfer(filmed(ball(material((0.3, 0.2, 0.1)))), 0, SIZE, BARE),
                   point_light((0.5, 0, -0.87), (3, 3, 3)))
    past = (slice(20, 28), slice(33, 36))  # where the light comes from behind the surface
    assert dull[past].max() < 0.02
    assert shown[past].mean() > 0.01 and shown[past][..., 0].mean() > 1.2 * shown[past][..., 2].mean()


def test_a_pixel_of_two_surfaces_is_lit_by_both():
    # The left half of the picture is a red sheet that faces the light, the right half a blue one that faces away.
    made = [plane(material((0.8, 0.1, 0.1)), 0.0), plane(material((0.1, 0.1, 0.8)), 0.0)]
    turned = []
    for surface, side in zip(made, (-1, 1), strict=True):
        x, _, z = surface.vertices[0].T
        left = x * 0.5 + side * 2.5  # from the middle outwards
        turned.append(surface.__class__(**{**vars(surface), "vertices": np.stack(
            [left, -z, -side * left * 0.7], -1)[None].astype(np.float32)}))
    scene = filmed(*turned, angle=0.02)
    frame = transfer(scene, 0, (7, 7), BARE)
    shown = picture(frame, point_light((-1, 0, 0.7), (np.pi,) * 3))
    left, middle, right = shown[3, 1], shown[3, 3], shown[3, 5]
    assert left[0] > 5 * right[2]
    assert middle == pytest.approx((left + right) / 2, abs=0.12 * float(left[0]))


def test_the_same_frame_is_the_same(lone):
    again = transfer(filmed(ball(material((0.8, 0.5, 0.2)))), 0, SIZE, BARE)
    assert (again.diffuse == lone.diffuse).all() and (again.alpha == lone.alpha).all()


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingExtra, match=r"needs the package scipy.*pip install 'harmovid\[lightstage\]'"):
        runpy.run_path(radiance.__file__)


@pytest.mark.slow
@pytest.mark.parametrize(("full", "least"), [(False, 26), (True, 20)])
@pytest.mark.parametrize("kind", ["room", "sun and sky", "studio"])
def test_a_path_tracer_agrees(full, least, kind):
    pytest.importorskip("mitsuba", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    from harmovid.light import procedural
    from harmovid.lightstage import pathtrace
    from harmovid.lightstage.render import Look, develop

    skin = material((0.5, 0.3, 0.22), roughness=0.45, reflectance=0.028, scatter=0.0)
    scene = filmed(ball(skin), ball(skin, centre=(0.02, 0.0, 0.1), radius=0.025),
                   ball(material((0.2, 0.3, 0.6)), centre=(0, -0.22, 0), radius=0.14))
    pixels = procedural.draw(np.random.default_rng(2), kind=kind, height=64).turned(1.0).at(0)
    made = keys.find(still(pixels))
    ours = transfer(scene, 0, SIZE, StageConfig() if full else BARE, made and made.beams)
    traced = pathtrace.render(scene, 0, pixels, SIZE, samples=256, full=full, denoise=False)
    shown = picture(ours, project(pixels, 512, made and made.labels))
    gain = 0.3 / traced[..., :3][traced[..., 3] > 0.99].mean()
    inside = (traced[..., 3] > 0.99) & (ours.alpha > 0.99)
    assert np.abs(traced[..., 3] - ours.alpha).mean() < 0.02
    a, b = (develop(p * np.float32(gain), Look())[inside] for p in (shown, traced[..., :3]))
    assert psnr(a, b) > least


@pytest.mark.slow
def test_a_path_tracer_agrees_more_nearly_where_a_key_light_throws_shadows():
    pytest.importorskip("mitsuba", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")
    from harmovid.lightstage import pathtrace

    # Beads before a ball, in the light of a lamp up to the left.
    beads = [ball(material(), centre=(x, y, 0.13), radius=0.012) for x in (-0.06, -0.02, 0.02)
             for y in (-0.02, 0.02, 0.06)]
    scene = filmed(ball(material()), *beads)
    pixels, light, beams = lamp((-0.4, 0.4, 0.82), 3)
    traced = pathtrace.render(scene, 0, pixels, SIZE, samples=256, full=False, denoise=False)
    keyed, even = (picture(transfer(scene, 0, SIZE, BARE, given), shone) / traced[..., :3].max()
                   for given, shone in ((beams, light), (None, project(pixels))))
    true = traced[..., :3] / traced[..., :3].max()
    assert psnr(keyed, true) > 26 and psnr(keyed, true) > psnr(even, true) + 4


def lamp(towards: tuple[float, float, float], width: int = 1) -> tuple[np.ndarray, np.ndarray, Basis]:
    """A map that is black but for a lamp of width² pixels, light for cells and beams, and the beams."""
    y, x = np.unravel_index(np.argmax(directions(HEIGHT) @ np.array(towards)), (HEIGHT, 2 * HEIGHT))
    pixels = np.zeros((HEIGHT, 2 * HEIGHT, 3), np.float32)
    pixels[y : y + width, x : x + width] = 1 / (solid_angles(HEIGHT)[y, 0] * width**2)  # about 1 in all
    made = keys.find(still(pixels))
    return pixels, project(pixels, 512, made.labels), made.beams


def test_a_ball_under_a_key_light_matches_the_closed_form_more_nearly_than_by_cells(lone):
    normals, inside = sphere()
    pixels, light, beams = lamp((-0.8, 0.3, 0.5))
    wanted = np.maximum(normals @ beams.directions[0], 0)[..., None] * np.array([0.8, 0.5, 0.2]) / np.pi
    keyed = transfer(filmed(ball(material((0.8, 0.5, 0.2)))), 0, SIZE, BARE, beams)
    exact, even = psnr(picture(keyed, light)[inside], wanted[inside]), psnr(
        picture(lone, project(pixels))[inside], wanted[inside])
    assert exact > 45 and exact > even + 8


def test_the_shadow_of_a_key_light_is_sharp_where_cells_blur_it():
    # A small ball before a large one, in a light of half a degree: the edge is a pixel or two.
    alone, hidden = filmed(ball(material())), filmed(ball(material()), ball(material(), centre=(0, 0.13, 0.135),
                                                                          radius=0.028))
    pixels, light, beams = lamp((0, 0.79, 0.62))

    def between(keyed: Basis | None, shone: np.ndarray) -> int:
        seen, whole = (transfer(scene, 0, SIZE, BARE, keyed) for scene in (hidden, alone))
        share = picture(seen, shone).mean(-1) / np.maximum(picture(whole, shone).mean(-1), 1e-3)
        column = share[6:26, 24]
        assert column.min() < 0.05 and column.max() > 0.95
        return int(((column > 0.1) & (column < 0.9)).sum())

    assert between(beams, light) <= 2 < between(None, project(pixels))


def test_even_cells_are_the_same_with_key_lights_beside_them(lone):
    _, _, beams = lamp((0, 1, 0.3), 4)
    keyed = transfer(filmed(ball(material((0.8, 0.5, 0.2)))), 0, SIZE, BARE, beams)
    assert keyed.diffuse.shape[2] == 512 + len(beams.directions)
    assert (keyed.diffuse[..., :512] == lone.diffuse).all() and (keyed.albedo == lone.albedo).all()


def test_a_uniform_white_light_gives_albedo_with_key_lights_too():
    # The lamp lies across the seam of its map, behind the camera.
    pixels = np.full((HEIGHT, 2 * HEIGHT, 3), 0.1, np.float32)
    pixels[40:60, [*range(-12, 12)]] = 50
    made = keys.find(still(pixels))
    frame = transfer(filmed(ball(material((0.8, 0.5, 0.2)))), 0, SIZE, BARE, made.beams)
    shown = frame.relit(project(np.ones((64, 128, 3), np.float32), 512, made.labels))
    assert np.allclose(shown, [0.8, 0.5, 0.2], rtol=0.05) and np.allclose(shown.mean(0), [0.8, 0.5, 0.2], rtol=0.01)


@pytest.mark.parametrize("kind", ["skin", "hair", "gloss"])
def test_a_wide_lamp_shines_as_much_by_its_beams_as_by_cells(kind):
    # Where nothing is thrown sharply the two ways agree, whatever the surface.
    scene = {"skin": filmed(ball(material((0.6, 0.4, 0.3), scatter=0.3)), plane(material((0.5, 0.5, 0.5)), -0.1)),
             "hair": combed(), "gloss": filmed(ball(material((0.02, 0.02, 0.02), reflectance=0.5)))}[kind]
    pixels, light, beams = lamp((0.3, 0.5, 0.8), 24)
    shown = picture(transfer(scene, 0, SIZE, StageConfig(), beams), light)
    even = picture(transfer(scene, 0, SIZE, StageConfig()), project(pixels))
    assert shown.sum((0, 1)) == pytest.approx(even.sum((0, 1)), rel=0.06)
    assert psnr(shown / even.max(), even / even.max()) > 28


def test_what_bounces_off_a_floor_in_a_key_light_is_the_floors_colour():
    floor = plane(material((0.9, 0.1, 0.1)), -0.1)
    _, light, beams = lamp((0, 1, 0.2), 2)
    with_, without = (transfer(filmed(ball(material()), floor), 0, SIZE, StageConfig(gloss=False, bounce=b), beams)
                      for b in (True, False))
    below = (slice(30, 34), slice(22, 26))
    gained = (picture(with_, light) - picture(without, light))[below].mean((0, 1))
    assert gained[0] > 0.002 and gained[0] > 5 * gained[1]
