"""Pictures of the chapters stand by themselves: whole SVG files with all that was given, and their own colours."""

from pathlib import Path
from xml.etree import ElementTree

from examples.drawing import Picture, attention_map, curves

SVG = "{http://www.w3.org/2000/svg}"


def read(picture: Picture, folder: Path) -> ElementTree.Element:
    assert picture.save(str(folder / "new" / "picture.svg")) is picture
    assert picture._repr_svg_() == picture
    return ElementTree.fromstring((folder / "new" / "picture.svg").read_text(encoding="utf-8"))  # noqa: S314 -- our own picture


def test_curves(tmp_path: Path) -> None:
    drawn = read(curves("R²", {"dot": {1: 0.9, 2: 0.8, 40: 0.1}, "a & b": {1: 0.5}}, "numbers"), tmp_path)
    dots = [one for one in drawn.iter(f"{SVG}circle") if "dot" in one.get("class", "")]
    assert [one.get("class") for one in dots] == ["dot line0"] * 3 + ["dot line1"]
    assert float(dots[0].get("cy", 0)) < float(dots[1].get("cy", 0)) < float(dots[2].get("cy", 0))  # higher is better, and upwards
    texts = ["".join(one.itertext()) for one in drawn.iter(f"{SVG}text")]
    assert {"● dot", "● a & b", "numbers", "0.0", "1.0", "40"} <= set(texts)
    left, top, width, height = map(float, drawn.get("viewBox", "").split())
    assert (float(drawn.get("width", 0)), float(drawn.get("height", 0))) == (width, height)
    assert all(top < float(one.get("y", 0)) < top + height for one in drawn.iter(f"{SVG}text"))
    assert left == 0


def test_attention_map(tmp_path: Path) -> None:
    drawn = read(attention_map([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]], ["x", "y", "z"], ["a", "b"], "Rows are said."), tmp_path)
    cells = [one.get("fill-opacity") for one in drawn.iter(f"{SVG}rect") if one.get("class") == "cell"]
    assert cells == ["1.00", "0.00", "0.25", "0.75", "0.50", "0.50"]
    assert "Rows are said." in str(drawn.get("aria-label"))
