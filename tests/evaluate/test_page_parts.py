"""Style and script: nothing from elsewhere, every colour in both schemes, no way out of their elements."""

import re

from harmovid.evaluate.page_parts import SCRIPT, STYLE


def test_nothing_is_asked_for_elsewhere():
    for text in (STYLE, SCRIPT):
        assert not re.search(r"https?:|//|@import|url\(|fetch\(|</", text)


def test_every_colour_has_a_light_and_a_dark_one():
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    dark = dark[: dark.index("} }")]
    names = set(re.findall(r"(--\w+):", light))
    assert names == set(re.findall(r"(--\w+):", dark)) >= set(re.findall(r"var\((--\w+)\)", STYLE))


def test_contrast_of_text_and_lines():
    def luminance(code):
        code = code if len(code) == 6 else "".join(2 * sign for sign in code)
        light = [int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        return sum(weight * (((value + 0.055) / 1.055) ** 2.4 if value > 0.04 else value / 12.92)
                   for weight, value in zip((0.2126, 0.7152, 0.0722), light, strict=True))

    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    for text in (light, dark[: dark.index("} }")]):
        colours = {name: luminance(code) for name, code in re.findall(r"--(\w+): #(\w+)", text)}
        for name, least in (("ink", 7), ("soft", 4.5), ("link", 4.5), *((f"c{number}", 3) for number in range(8))):
            for ground in ("paper", "tint"):
                high, low = sorted((colours[name], colours[ground]), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= least, (name, ground)


def test_motion_is_left_to_those_who_want_it():
    assert "prefers-reduced-motion" in SCRIPT and "IntersectionObserver" in SCRIPT
