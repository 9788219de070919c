"""A recipe's text is changed where it must be; comments on other settings stay."""

from antiphon.recipe.tree import plain_values
from antiphon.runs.recipe_edits import with_files, with_setting, without_setting

TEXT = """\
# A recipe.
task:
  name: forecasting
  # known: [price]               # known in advance
  scaling: {name: last, season: 12}  # without its season; leave out `season` where there
                                 # is none
data:
  train: train.csv               # a file

search:
  name: beam
  beam_size: 5
"""


def test_a_value_and_its_reason() -> None:
    changed = with_setting(TEXT, "task.scaling", {"name": "last", "season": 7}, "a week")
    assert "  scaling: {name: last, season: 7} # a week\ndata:" in changed, "with all that was said of the old one"
    assert "# known: [price]               # known in advance" in changed


def test_what_was_a_comment_becomes_a_setting_and_a_hint_stays_one() -> None:
    assert "\n  known: [holiday, price]        # why\n" in with_setting(TEXT, "task.known", ["holiday", "price"], "why")
    hinted = with_setting(TEXT, "task.known", ["promotion"], "perhaps", hint=True)
    assert "\n  # known: [promotion]           # perhaps\n" in hinted
    assert "known" not in plain_values(hinted)["task"]


def test_what_is_not_there_is_put_at_the_end_of_its_section() -> None:
    changed = plain_values(with_setting(with_setting(TEXT, "search.patience", 2), "training.max_minutes", 3.0, "short"))
    assert changed["search"] == {"name": "beam", "beam_size": 5, "patience": 2}
    assert changed["training"] == {"max_minutes": 3}


def test_a_part_of_a_mapping() -> None:
    assert plain_values(with_setting(TEXT, "task.scaling.season", 24))["task"]["scaling"] == {"name": "last", "season": 24}


def test_a_whole_section_and_files() -> None:
    changed = with_files(with_setting(TEXT, "search", {"name": "ctc", "beam_size": 4}), "train", ["a b.csv", "{path: c.csv, weight: 2}"])
    assert plain_values(changed)["search"] == {"name": "ctc", "beam_size": 4}
    assert plain_values(changed)["data"]["train"] == ["a b.csv", {"path": "c.csv", "weight": 2}]


def test_a_setting_is_left_out_with_its_comment() -> None:
    changed = without_setting(TEXT, "task.scaling")
    assert "season" not in changed
    assert without_setting(changed, "task.scaling") == changed


def test_texts_that_yaml_would_take_for_something_else_are_quoted() -> None:
    for value in ("yes", "null", "1.5", "a: b", "x #y", "", "[1]", "2024-01-01"):
        assert plain_values(with_setting(TEXT, "task.target", value))["task"]["target"] == value
