from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from harmovid.baselines.bvd import cpu
from harmovid.baselines.filtering import FilterConfig, LocalConfig, LocalRefinement, NeuralFilter, lit
from harmovid.errors import InputError, OptionError


def pictures(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def woken(network: torch.nn.Module) -> torch.nn.Module:
    """Its last convolution does something."""
    last: torch.nn.Conv2d = network.last  # type: ignore[assignment]
    torch.nn.init.normal_(last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return network.eval()


def count(network: torch.nn.Module) -> int:
    return sum(part.numel() for part in network.parameters())


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 16), (33, 18)])
@pytest.mark.parametrize("start", ["nothing", "light"])
def test_frames_of_any_size_keep_it(size: tuple[int, int], start: str) -> None:
    net = NeuralFilter(FilterConfig(4, 3, start))  # type: ignore[arg-type]
    assert net(pictures(2, 3, *size), pictures(2, 3, *size, seed=1)).shape == (2, 3, *size)
    refine = LocalRefinement(LocalConfig(4, 1))
    now = pictures(2, 3, *size)
    output, state = refine(now, now, now, None)
    assert output.shape == now.shape and refine(now, now, output, state)[0].shape == now.shape


def test_networks_have_the_published_sizes() -> None:
    net = NeuralFilter(FilterConfig())
    widths = [32, 64, 128, 256, 512]
    pairs = sum(9 * (a + b) * b + 2 * b for a, b in pairwise([6, *widths]))
    ups = sum(9 * 2 * w * w + w + 9 * 3 * w * w + 2 * w for w in widths[:-1])
    assert count(net) == pairs + ups + 32 * 3 + 3
    assert LocalRefinement(LocalConfig()).gates.weight.shape == (512, 256, 3, 3)


def test_the_networks_of_the_processor_take_less_than_two_megabytes() -> None:
    assert 2 * (count(NeuralFilter(cpu().filter)) + count(LocalRefinement(cpu().local))) < 2e6  # half precision


def test_an_untaught_filter_with_a_start_takes_the_light_and_keeps_the_detail() -> None:
    clean = 0.2 + 0.5 * pictures(1, 3, 32, 32)
    wide = torch.nn.functional.avg_pool2d(clean, 5, 1, 2, count_include_pad=False)  # a flawed atlas: no detail
    gain = torch.tensor([0.7, 0.9, 1.2])[:, None, None]
    net = NeuralFilter(FilterConfig(4, 2, "light"))
    with torch.no_grad():
        shown = net(clean * gain, wide)
    torch.testing.assert_close(shown, lit(clean * gain, wide))
    assert (shown - clean).abs().mean() < 0.2 * (clean * gain - clean).abs().mean()
    torch.testing.assert_close(lit(clean, clean), clean, atol=1e-5, rtol=0)


def test_a_filter_sees_both_frames() -> None:
    net = woken(NeuralFilter(FilterConfig(4, 2)))
    a, b, c = (pictures(1, 3, 8, 8, seed=seed) for seed in range(3))
    assert not torch.equal(net(a, b), net(c, b)) and not torch.equal(net(a, b), net(a, c))


def test_an_untaught_refinement_changes_nothing() -> None:
    filtered = pictures(2, 4, 3, 9, 6)
    assert torch.equal(LocalRefinement(LocalConfig(4, 1)).clip(filtered), filtered)


def test_the_refinement_keeps_the_first_frame_and_remembers() -> None:
    net = woken(LocalRefinement(LocalConfig(4, 1)))
    assert isinstance(net, LocalRefinement)
    filtered = pictures(1, 4, 3, 8, 8)
    other = filtered.clone()
    other[:, 0] = 1 - other[:, 0]
    with torch.no_grad():
        shown, changed = net.clip(filtered), net.clip(other)
        assert torch.equal(shown[:, 0], filtered[:, 0]) and not torch.equal(shown[:, 1:], filtered[:, 1:])
        assert not torch.equal(shown[:, 3], changed[:, 3])  # three frames on
        first, state = net(filtered[:, 1], filtered[:, 0], filtered[:, 0], None)
        torch.testing.assert_close(first, shown[:, 1])
        args = filtered[:, 2], filtered[:, 1], first
        torch.testing.assert_close(net(*args, state)[0], shown[:, 2])
        assert not torch.equal(net(*args, None)[0], shown[:, 2])  # the state counts


def test_frames_of_two_sizes_are_refused_in_a_sentence() -> None:
    net = NeuralFilter(FilterConfig(4, 2))
    for other in (pictures(1, 3, 8, 9), pictures(1, 4, 8, 8)):
        with pytest.raises(InputError, match="render the atlas at the frames' size"):
            net(pictures(1, 3, 8, 8), other)


def test_settings_without_meaning_are_refused() -> None:
    for wrong in ({"channels": 0}, {"levels": 0}):
        with pytest.raises(OptionError):
            replace(FilterConfig(), **wrong)
    for wrong in ({"channels": 0}, {"blocks": -1}):
        with pytest.raises(OptionError):
            replace(LocalConfig(), **wrong)
