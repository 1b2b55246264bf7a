"""RAFT's door: a network with the interface of the published file, small enough to be made here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harmovid.errors import InputError
from harmovid.evaluate.measures import load_tools
from harmovid.evaluate.motion import motion_preservation
from harmovid.evaluate.raft import load_raft


def export(path: Path, channels: int = 2) -> Path:
    """Answers with how much redder (x) and greener (y) the second picture is, in 255ths; first every eighth pixel."""
    height, width = 360, 480
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (
        *((name, [1, 3, height, width]) for name in ("0", "1")),
        ("low", [1, channels, height // 8, width // 8]), ("up", [1, channels, height, width]))]
    red_green = np.eye(channels, 3, dtype=np.float32)
    nodes = [helper.make_node("Sub", ["1", "0"], ["change"]),
             helper.make_node("Conv", ["change", "weight"], ["up"]),
             helper.make_node("AveragePool", ["up"], ["low"], kernel_shape=[8, 8], strides=[8, 8])]
    graph = helper.make_graph(nodes, "raft", ends[:2], ends[2:], [
        helper.make_tensor("weight", TensorProto.FLOAT, (channels, 3, 1, 1), red_green.ravel())])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), path)
    return path


def plain(colour: tuple[float, float, float], size: tuple[int, int] = (90, 240)) -> np.ndarray:
    return np.full((*size, 3), colour, np.float32)


def test_flow_comes_back_in_the_pixels_of_the_picture(tmp_path: Path) -> None:
    raft = load_raft(export(tmp_path / "raft.onnx"))
    flow = raft(plain((0.2, 0.4, 0.6)), plain((0.4, 0.3, 0.1)))
    assert flow.shape == (90, 240, 2) and flow.dtype == np.float32
    # 51 and −25.5 pixels of 480 × 360 are half and a quarter as many of 240 × 90.
    np.testing.assert_allclose(flow.reshape(-1, 2), np.broadcast_to([25.5, -6.375], (90 * 240, 2)), atol=1e-3)
    large = raft(plain((0, 0, 0), (720, 960)), plain((0.1, 0.2, 0), (720, 960)))
    np.testing.assert_allclose(large[100, 100], [51, 102], atol=1e-3)


def test_places_stay_where_they_are(tmp_path: Path) -> None:
    raft = load_raft(export(tmp_path / "raft.onnx"))
    before, after = plain((0, 0, 0)), plain((0, 0, 0))
    after[60:, 180:, 0] = 1
    flow = raft(before, after)[..., 0]
    assert flow[80, 220] == pytest.approx(127.5, abs=0.1)
    assert np.abs(flow[:50]).max() == np.abs(flow[:, :170]).max() == 0


def test_items_side_by_side_do_not_get_each_others_flow(tmp_path: Path) -> None:
    raft = load_raft(export(tmp_path / "raft.onnx"))
    levels = np.linspace(0, 1, 24)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda level: float(raft(plain((0, 0, 0)), plain((level, 0, 0)))[0, 0, 0]), levels))
    np.testing.assert_allclose(found, levels * 127.5, atol=1e-3)


def test_it_takes_the_place_of_dis_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMOVID_CACHE", str(tmp_path))
    tools, _ = load_tools(raft=export(tmp_path / "raft.onnx"))
    assert tools.names["motion and warping"] == "RAFT" and tools.flow is not None
    assert [line.split()[0] for line in tools.weights] == ["raft.onnx"] and load_tools()[0].weights == ()
    still = np.stack([plain((0.5, 0.5, 0.5))] * 3)
    brighter = still + np.float32(0.1) * np.arange(3, dtype=np.float32)[:, None, None, None]
    found = motion_preservation(brighter, still, np.ones(still.shape[:3], np.float32), flow=tools.flow)
    assert found.frame == pytest.approx(np.hypot(12.75, 6.375), rel=1e-3) and found.flow == "RAFT"


def test_what_is_not_raft_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name that file, or leave it out for DIS"):
        load_raft(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"broken\.onnx does not work as RAFT"):
        load_raft(tmp_path / "broken.onnx")
    with pytest.raises(InputError, match="gives no flow of 480 × 360 pixels"):
        load_raft(export(tmp_path / "colour.onnx", channels=3))
