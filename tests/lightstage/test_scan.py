"""Scans: a Wavefront file of a bust becomes a performance that keeps its shoulders still."""

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra [lightstage]: pip install 'harmovid[lightstage]'")

from harmovid.errors import InputError
from harmovid.lightstage.scan import read_obj, scan


def bust(folder):
    """A column of quads, colour and no normal map."""
    lines = [f"v {x} {y} {z}" for y in range(-4, 5) for x, z in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    lines += ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1"]
    for ring in range(8):
        for k in range(4):
            a, b = ring * 4 + k + 1, ring * 4 + (k + 1) % 4 + 1
            lines.append(f"f {a}/1 {b}/2 {b + 4}/3 {a + 4}/4")
    (folder / "head.obj").write_text("\n".join(lines))
    cv2.imwrite(str(folder / "head_color.jpg"), np.full((16, 16, 3), 188, np.uint8))
    return folder / "head.obj"


def test_a_scan_performs(tmp_path):
    made = scan(bust(tmp_path), 12, seed=3)
    points = made.surfaces[0].vertices
    assert points.shape == (12, 36, 3) and made.frames == 12
    height = points[0, :, 1].max() - points[0, :, 1].min()
    assert height == pytest.approx(0.235 / 0.55, rel=0.1)
    sway = points - points[:1]
    top, bottom = sway[:, -4:] - sway[:, :4].mean(1, keepdims=True), sway[:, :4] - sway[:, :1]
    assert np.abs(top).max() > 20 * np.abs(bottom).max()
    # 188 in sRGB is half of the light; a scan's colour is taken a little darker.
    np.testing.assert_allclose(made.surfaces[0].material.albedo, 0.85 * 0.503, atol=0.02)
    np.testing.assert_array_equal(points, scan(tmp_path / "head.obj", 12, seed=3).surfaces[0].vertices)


def test_a_scan_may_count_v_from_the_top(tmp_path):
    plain, turned = (scan(bust(tmp_path), 1, upturned=upturned).surfaces[0].uv for upturned in (False, True))
    np.testing.assert_array_equal(turned[..., 0], plain[..., 0])
    np.testing.assert_array_equal(turned[..., 1], 1 - plain[..., 1])


def test_quads_become_triangles(tmp_path):
    vertices, faces, uv = read_obj(bust(tmp_path))
    assert vertices.shape == (36, 3) and faces.shape == (64, 3) and uv.shape == (64, 3, 2)


def test_places_may_be_counted_from_the_end(tmp_path):
    corners = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
    (tmp_path / "a.obj").write_text(f"{corners}f 1/1 2/2 3/3\n{corners}f -3/-3 -2/-2 -1/-1\n")
    _, faces, uv = read_obj(tmp_path / "a.obj")
    assert faces.tolist() == [[0, 1, 2], [3, 4, 5]] and np.array_equal(uv[0], uv[1])


@pytest.mark.parametrize("text", ["v 0 0 0\n", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"])
def test_a_mesh_without_faces_or_uv_is_refused(tmp_path, text):
    (tmp_path / "bad.obj").write_text(text)
    with pytest.raises(InputError, match=r"bad\.obj"):
        read_obj(tmp_path / "bad.obj")


def test_a_missing_scan_is_refused(tmp_path):
    with pytest.raises(InputError, match="no scan at"):
        scan(tmp_path / "none.obj")
    bust(tmp_path)
    (tmp_path / "head_color.jpg").unlink()
    with pytest.raises(InputError, match="picture"):
        scan(tmp_path / "head.obj")
