"""All themes can be read, at each depth of colour."""

from __future__ import annotations

import pytest
from textual.theme import BUILTIN_THEMES

from pyctr_tui.palette import HUES, ROLES, Depth, table
from pyctr_tui.settings.table import OWN_THEMES, TEXTUAL_THEMES, UserTheme
from pyctr_tui.themes import READABLE, VISIBLE, Themes, contrast, mapped, quantised, readable, rgb_of


def colours(name: str, depth: Depth) -> dict[str, tuple[int, int, int]]:
    if name in OWN_THEMES:
        return {role: rgb_of(colour) for role, colour in table(name, depth).items()}
    found = mapped(name) if depth == "true" else quantised(mapped(name))
    return {role: rgb_of(colour) for role, colour in found.items()}


def test_all_of_textuals_are_there() -> None:
    assert set(TEXTUAL_THEMES) == {name for name, theme in BUILTIN_THEMES.items() if not theme.ansi}


@pytest.mark.parametrize("depth", ["true", "256"])
@pytest.mark.parametrize("name", OWN_THEMES + TEXTUAL_THEMES)
def test_every_theme_can_be_read(name: str, depth: Depth) -> None:
    found = colours(name, depth)
    assert tuple(found) == ROLES
    back = found["back"]
    for role in ("text", "strong"):
        assert contrast(found[role], back) >= READABLE
        for under in ("selected", "away"):
            assert contrast(found[role], found[under]) >= READABLE, under
        assert contrast(found[role], found["match"]) >= 4.3
    for role in ("dim", "accent", "good", "warn", "bad", *HUES):
        assert contrast(found[role], back) >= VISIBLE, role
    for role in ("selected", "away"):
        assert found[role] != back
    assert found["selected"] != found["away"]
    for hue in HUES:
        assert found[hue] != found[f"{hue}_body"] != back


def test_high_contrast_is_high() -> None:
    for depth in ("true", "256"):
        found = colours("contrast", depth)
        assert contrast(found["text"], found["back"]) > 15
        assert all(contrast(found[role], found["back"]) >= 7 for role in ("dim", "accent", "good", "warn", "bad"))


def test_contrast_is_computed_as_wcag_says() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)
    assert contrast(readable((120, 120, 120), (128, 128, 128), 4.5), (128, 128, 128)) >= 4.5


def test_the_users_own() -> None:
    mine = {"mine": UserTheme("nord", {"accent": "#ff00ff"})}
    themes = Themes("true", mine)
    assert "mine" in themes.names
    accent, text = themes.palette("mine").accent.color, themes.palette("mine").text
    assert accent is not None
    assert accent.triplet is not None
    assert accent.triplet.hex == "#ff00ff"
    assert text == themes.palette("nord").text
    assert Themes("256", mine).palette("mine").accent.color.number == 201  # type: ignore[union-attr]
    assert themes.short("mine") == (*OWN_THEMES, "mine")
    assert themes.short("paper") == OWN_THEMES
    assert Themes("16", mine).names == ("terminal",)
    assert Themes("16", mine).palette("nord").name == "terminal"
    assert Themes("none", mine).palette("mine").name == "mono"
    assert themes.palette("gone").name == "night"
