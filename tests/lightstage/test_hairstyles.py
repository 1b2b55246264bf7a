from harmovid.lightstage.hairstyles import STYLES, shortened


def test_every_style_has_a_name_of_its_own_and_can_be_grown():
    assert len({style.name for style in STYLES}) == len(STYLES) >= 6
    for style in STYLES:
        assert 0 < style.length < 1 and style.strands >= 1000 and 0 <= style.clumping <= 1, style.name


def test_a_shortened_style_differs_in_its_lengths_alone():
    style = next(style for style in STYLES if style.sides is not None)
    cut = shortened(style, 0.5)
    assert (cut.length, cut.sides) == (style.length / 2, style.sides / 2)
    assert (cut.name, cut.strands, cut.comb) == (style.name, style.strands, style.comb)
