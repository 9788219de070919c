"""Recipes: what YAML 1.2 says, what is refused and in which words, overrides, and the way there and back."""

from pathlib import Path

import pytest

from antiphon.contracts.configuration import plain
from antiphon.errors import ConfigError
from antiphon.recipe.recipe import changed_keys, read_recipe, recipe_from, with_overrides, write_recipe

RECIPE = """\
task:
  name: translation
  vocabulary: {kind: character}
data:
  train: train.tsv
  validation: 500
model:
  name: lstm
  dim: 64
training:
  max_steps: 10
  optimizer: {name: adamw, learning_rate: 3e-4}
search: {name: beam, beam_size: 4}
"""


@pytest.fixture
def path(tmp_path):
    """A recipe file that is right."""
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


def changed(path, old, new):
    """The file with a change."""
    assert old in RECIPE
    path.write_text(RECIPE.replace(old, new), encoding="utf-8")
    return path


def test_a_recipe_is_read(path):
    recipe = read_recipe(path)
    assert (recipe.task.name, recipe.model.name, recipe.model.dim, recipe.search.beam_size) == ("translation", "lstm", 64, 4)
    assert recipe.data.train[0].path == str(path.parent / "train.tsv"), "relative paths start from the recipe's folder"
    assert recipe.training.optimizer.learning_rate == 3e-4
    assert recipe.data.validation == 500


# What YAML 1.1 would turn into something else.
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30:00", "12:30:00"),
        ("2024-05-01", "2024-05-01"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("'1'", "1"),
    ],
)
def test_words_stay_words(path, written, expected):
    recipe = read_recipe(changed(path, "vocabulary: {kind: character}", f"vocabulary: {{kind: character}}\n  source: {written}"))
    assert recipe.task.source == expected
    assert with_overrides(recipe, [f"task.target={written}"]).task.target == expected
    assert read_recipe(path, [f"task.target={written}"]).task.target == expected


@pytest.mark.parametrize(("written", "expected"), [("3e-4", 3e-4), ("3E-4", 3e-4), ("1e3", 1000.0), ("0.5", 0.5), ("1", 1.0)])
def test_numbers_are_numbers(path, written, expected):
    recipe = read_recipe(changed(path, "3e-4", written))
    assert recipe.training.optimizer.learning_rate == expected
    assert type(recipe.training.optimizer.learning_rate) is float
    assert read_recipe(path, [f"training.optimizer.learning_rate={written}"]).training.optimizer.learning_rate == expected


# A change to the recipe, the line of the mistake, and the sentence.
MISTAKES = {
    "unknown key": ("dim: 64", "dmi: 64", 9, "`model.dmi` is not a setting. Did you mean `dim`? Allowed here: name, cell, dim,"),
    "unknown key at the top": (
        "search:",
        "serach:",
        13,
        "`serach` is not a setting. Did you mean `search`? Allowed here: task, data, model,",
    ),
    "unknown key without a near one": (
        "learning_rate: 3e-4",
        "lr: 3e-4",
        12,
        "`training.optimizer.lr` is not a setting. Allowed here: name, learning_rate, betas, epsilon, weight_decay, layer_decay, factors.",
    ),
    "unknown key of a file": (
        "train: train.tsv",
        "train: {path: a.tsv, wieght: 2}",
        5,
        "`data.train`: `wieght` is not a setting of a file. Did you mean `weight`?",
    ),
    "wrong type": ("dim: 64", "dim: wide", 9, "`model.dim` must be a valid integer, unable to parse string as an integer, but is 'wide'."),
    "fraction": ("dim: 64", "dim: 64.5", 9, "`model.dim` must be a valid integer, got a number with a fractional part, but is 64.5."),
    "nothing": ("dim: 64", "dropout:", 9, "`model.dropout` must be a valid number, but is None."),
    "word for a number": (
        "3e-4",
        "on",
        12,
        "`training.optimizer.learning_rate` must be a valid number, unable to parse string as a number, but is 'on'.",
    ),
    "choice": ("dim: 64", "cell: 12:30:00", 9, "`model.cell` must be 'lstm' or 'gru', but is '12:30:00'."),
    "no is no choice": ("dim: 64", "attention: no", 9, "`model.attention` must be 'none', but is 'no'."),
    "nested choice": (
        "kind: character",
        "kind: letters",
        3,
        "`task.vocabulary.kind` must be 'unigram', 'bpe', 'byte_bpe', 'word', 'character', 'byte' or 'pretrained', but is",
    ),
    "out of range": ("max_steps: 10", "max_steps: -1", 11, "`training.max_steps` must be at least 0, but is -1."),
    "unknown plug-in": ("name: lstm", "name: lstmm", 7, "`model`: There is no models plug-in `lstmm`; there are: "),
    "unknown variant": (
        "name: adamw",
        "name: adam",
        12,
        "`training.optimizer.name` must be one of adamw, adafactor, sgd, but is 'adam'. Did you mean",
    ),
    "unknown preset": ("dim: 64", "preset: huge", 7, "`model`: `lstm` has no preset `huge`; it has: tiny, small, base, big."),
    "no budget": ("max_steps: 10", "accumulation: 2", 10, "`training`: needs a budget: set max_steps, max_epochs or max_minutes."),
    "clash": ("max_steps: 10", "max_steps: 10\n  average: 9", 10, "`training`: `average` must be at most `keep` (3), but is 9."),
    "clash in a plug-in": ("beam_size: 4", "n_best: 9", 13, "`search`: `n_best` must be at most `beam_size` (5), but is 9."),
    "missing section": ("model:\n  name: lstm\n  dim: 64\n", "", 1, "`model` is missing."),
    "missing name": ("name: lstm\n", "cell: lstm\n", 7, "`model`: needs a `name`; one of: "),
    "no YAML": ("dim: 64", "dim: [1", 10, "this is not valid YAML: expected ',' or ']', but got ':'."),
    "the same key twice": ("dim: 64", "dim: 64\n  dim: 32", 10, 'this is not valid YAML: found duplicate key "dim"'),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_has_its_line_and_its_sentence(path, mistake):
    old, new, line, sentence = MISTAKES[mistake]
    with pytest.raises(ConfigError) as caught:
        read_recipe(changed(path, old, new))
    assert str(caught.value).startswith(f"{path}:{line}: {sentence}")


def test_all_mistakes_are_told_at_once(path):
    path.write_text(RECIPE.replace("dim: 64", "dmi: 64").replace("max_steps: 10", "max_steps: -1").replace("500", "0.5"))
    with pytest.raises(ConfigError) as caught:
        read_recipe(path)
    lines = [line.split(": ")[0].rsplit(":", 1)[1] for line in str(caught.value).splitlines()]
    assert {"6", "9", "11"} <= set(lines)


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(ConfigError, match=r"There is no recipe .*missing\.yaml\. `antiphon new translation"):
        read_recipe(tmp_path / "missing.yaml")
    for text, kind in (("", "empty"), ("- task\n", "a list"), ("just words\n", "a text")):
        (tmp_path / "odd.yaml").write_text(text)
        with pytest.raises(ConfigError, match=f"a recipe must be a mapping with `task`, `data`, `model` and `training`, but is .*{kind}"):
            read_recipe(tmp_path / "odd.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match=r"A recipe is a YAML file in UTF-8, but .*binary\.yaml is not: byte 1 is no text\."):
        read_recipe(tmp_path / "binary.yaml")
    with pytest.raises(ConfigError, match=r"A recipe is a YAML file, but .* is a folder\. Recipes in it: .*binary\.yaml, .*odd\.yaml\."):
        read_recipe(tmp_path)
    (tmp_path / "pairs.tsv").write_text("en\tde\n")
    with pytest.raises(
        ConfigError, match=r"not valid YAML: .* Are these data\? `antiphon new TASK --data .*pairs\.tsv` writes a recipe for them"
    ):
        read_recipe(tmp_path / "pairs.tsv")


def test_overrides(path):
    recipe = read_recipe(path, ["model.dim=32", "search=greedy", "training.max_minutes=0.5", "training.loss.label_smoothing=0", "seed=7"])
    assert (recipe.model.dim, recipe.search.name, recipe.training.max_minutes, recipe.seed) == (32, "greedy", 0.5, 7)
    assert recipe.training.loss.label_smoothing == 0
    assert recipe.training.max_steps == 10, "the rest stays"
    assert read_recipe(path, ["model=transformer"]).model.name == "transformer"
    assert read_recipe(path, ["task.tags=[language, domain]"]).task.tags == ("language", "domain")
    assert read_recipe(path, ["training.clip_norm=null"]).training.clip_norm is None


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.dmi=32", "--set: `model.dmi` is not a setting. Did you mean `dim`?"),
        ("training.max_steps=many", "--set: `training.max_steps` must be a valid integer"),
        ("nonsense", "`--set` must be of the form key.path=value, but is 'nonsense'."),
        ("=3", "`--set` must be of the form key.path=value, but is '=3'."),
        ("model..dim=3", "`--set` must be of the form key.path=value"),
        ("model.dim=[1", "`--set model.dim`: '[1' is not valid YAML."),
    ],
)
def test_overrides_that_cannot_be(path, override, sentence):
    with pytest.raises(ConfigError) as caught:
        read_recipe(path, [override])
    assert str(caught.value).startswith(sentence)
    with pytest.raises(ConfigError):
        with_overrides(read_recipe(path), [override])


def test_another_search_starts_from_its_own_defaults(path):
    recipe = with_overrides(read_recipe(path), ["search.name=beam", "search.beam_size=7"])
    assert with_overrides(recipe, ["search.name=greedy"]).search.name == "greedy"
    found = with_overrides(recipe, ["search.samples=3", "search.name=sampling"]).search
    assert (found.name, found.samples) == ("sampling", 3)
    assert with_overrides(recipe, ["search.name=beam"]).search.beam_size == 7


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["task.source=no", "task.target=12:30:00", "training.optimizer.learning_rate=3e-7", "training.precision=bf16"],
        ["model=transformer", "training.schedule.name=cosine", "training.decoder_inputs.name=scheduled_sampling", "search=sampling"],
        [
            "search={name: mbr, metric: chrf}",
            "data.validation=dev.tsv",
            "data.test=test.jsonl",
            "model.head={name: categorical, bias: true}",
        ],
        ["training.freeze=['encoder.*']", "evaluation.metrics=[bleu, ter]"],
    ],
    ids=str,
)
def test_there_and_back(path, overrides, tmp_path):
    recipe = read_recipe(path, overrides)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_recipe(recipe, elsewhere / "written.yaml")
    again = read_recipe(elsewhere / "written.yaml")
    assert again == recipe
    assert plain(again) == plain(recipe)
    assert recipe_from(plain(recipe)) == recipe
    text = (elsewhere / "written.yaml").read_text(encoding="utf-8")
    assert "!!" not in text, "plain YAML, without tags of Python"
    assert list(plain(recipe)) == [line.rstrip(":").split(":")[0] for line in text.splitlines() if line and not line.startswith((" ", "-"))]


def test_differences_are_named_by_path(path):
    old, new = (plain(read_recipe(path, overrides)) for overrides in ([], ["model.dim=32", "search=greedy", "seed=3"]))
    assert {"model.dim", "search.name", "seed"} <= set(changed_keys(old, new))
    assert changed_keys(old, old) == []


def test_absolute_paths_stay(path):
    recipe = read_recipe(path, [f"data.train={Path('/data/train.tsv')}", "data.cache=/cache", "training.init_from=runs/first"])
    assert recipe.data.train[0].path == "/data/train.tsv"
    assert recipe.data.cache == Path("/cache")
    assert recipe.training.init_from == Path.cwd() / "runs" / "first"


@pytest.mark.parametrize(
    ("changes", "where", "expected"),
    [
        (["training.optimizer.learning_rate=3e-4"], "training.optimizer.learning_rate", 3e-4),
        (["training.optimizer.learning_rate=3e-4"], "training.optimizer.name", "adamw"),
        (["training.optimizer=adafactor", "training.optimizer.weight_decay=0.1"], "training.optimizer.weight_decay", 0.1),
        (["training.optimizer=sgd"], "training.optimizer.name", "sgd"),
        (["training.schedule.warmup_steps=100"], "training.schedule.warmup_steps", 100),
        (["training.schedule.warmup_steps=100"], "training.schedule.name", "inverse_square_root"),
        (["training.schedule=cosine"], "training.schedule.name", "cosine"),
        (["training.schedule=cosine", "training.schedule.final=0.1"], "training.schedule.final", 0.1),
        (["training.decoder_inputs=scheduled_sampling"], "training.decoder_inputs.name", "scheduled_sampling"),
        (["training.decoder_inputs=scheduled_sampling", "training.decoder_inputs.passes=2"], "training.decoder_inputs.passes", 2),
        (["training.loss=ctc"], "training.loss.name", "ctc"),
        (["training.loss.label_smoothing=0.2"], "training.loss.label_smoothing", 0.2),
        (["search=greedy"], "search.name", "greedy"),
        (["search.beam_size=3"], "search.beam_size", 3),
        (["search={name: mbr, candidates: beam}"], "search.candidates.name", "beam"),
        (["model.dim=32"], "model.dim", 32),
        (["model=transformer", "model.dim=32"], "model.dim", 32),
        (["model.head=pointer"], "model.head.name", "pointer"),
        (["model=encoder_only", "model.encoder=lstm"], "model.encoder.name", "lstm"),
        (["model=encoder_only", "model.encoder.dim=16"], "model.encoder.name", "conformer"),
        (["model=decoder_only", "model.decoder.dim=16"], "model.decoder.name", "transformer"),
    ],
    ids=str,
)
def test_a_bare_name_or_a_part_of_the_default_is_enough(path, changes, where, expected):
    """Whether the recipe says nothing of it, or is changed after it was read."""
    path.write_text(
        RECIPE.replace("  optimizer: {name: adamw, learning_rate: 3e-4}\n", "").replace("search: {name: beam, beam_size: 4}\n", "")
    )
    for recipe in (read_recipe(path, changes), with_overrides(read_recipe(path, changes), [])):
        value = plain(recipe)
        for key in where.split("."):
            value = value[key]
        assert value == expected


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("training.optimizer=adam", "`training.optimizer.name` must be one of adamw, adafactor, sgd, but is 'adam'. Did you mean `adamw`?"),
        ("training.schedule=cosin", "`training.schedule.name` must be one of constant, inverse_square_root, cosine, linear,"),
        ("training.schedule.final=0.1", "`training.schedule.final` is not a setting. Allowed here: name, warmup_steps."),
        ("training.schedule=3", "`training.schedule` must be a name, or a mapping with a `name`, but is 3."),
        ("training.loss=3", "`training.loss` must be a name, or a mapping with a `name`, but is 3."),
        ("training.loss=crossentropy", "`training.loss`: There is no losses plug-in `crossentropy`; there are: "),
        ("model=3", "`model` must be a name, or a mapping with a `name`, but is 3."),
        ("model=[]", "`model` must be a name, or a mapping with a `name`, but is []."),
        ("model={preset: [1], name: lstm}", "`model`: `lstm` has no preset `[1]`; it has: tiny, small, base, big."),
        ("model=.lstm", "`model`: The models plug-in '.lstm' must be a name, or a dotted path such as `my_package.my_model`."),
        ("model.head=[pointer]", "`model.head` must be a name, or a mapping with a `name`, but is ['pointer']."),
        ("task=null", "`task` must be a name, or a mapping with a `name`, but is None."),
        ("search=[beam]", "`search` must be a name, or a mapping with a `name`, but is ['beam']."),
        ("data=3", "`data` must be a mapping of settings, but is 3."),
        ("data=null", "`data` must be a mapping of settings, but is None."),
        ("training=[1]", "`training` must be a mapping of settings, but is [1]."),
        ("training.freeze=3", "`training.freeze` must be a list, but is 3."),
        ("training.init_from=3", "`training.init_from` must be a path, but is 3."),
        ("training.tensorboard=perhaps", "`training.tensorboard` must be `true` or `false`, but is 'perhaps'."),
        ("training.optimizer.learning_rate=.inf", "`training.optimizer.learning_rate` must be a finite number, but is inf."),
        ("training.max_minutes=.nan", "`training.max_minutes` must be a finite number, but is nan."),
        ("training.max_minutes=1e999", "`training.max_minutes` must be a finite number, but is inf."),
    ],
)
def test_what_no_choice_and_no_number_can_be(path, change, sentence):
    with pytest.raises(ConfigError) as caught:
        read_recipe(path, [change])
    assert str(caught.value).startswith(f"--set: {sentence}")
    assert "\n" not in str(caught.value), "one mistake, one sentence"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "training.freeze.encoder=1",
            "`--set training.freeze.encoder` cannot change a part of `training.freeze`, which is []: set it as a whole.",
        ),
        ("seed.value=1", "`--set seed.value` cannot change a part of `seed`, which is 1: set it as a whole."),
    ],
)
def test_what_has_no_parts_is_not_replaced_by_one(path, change, sentence):
    path.write_text(RECIPE + "seed: 1\n")
    if "freeze" in change:
        path.write_text(RECIPE.replace("max_steps: 10", "max_steps: 10\n  freeze: []"))
    with pytest.raises(ConfigError) as caught:
        read_recipe(path, [change])
    assert str(caught.value) == sentence


def test_a_file_named_by_its_path_alone_can_be_told_more(path):
    assert read_recipe(path, ["data.train.weight=2"]).data.train[0].weight == 2


def test_the_defaults_of_a_task_and_a_bare_name_go_together(path):
    """A bare name means the same as a mapping with nothing else in it."""
    path.write_text(RECIPE.replace("search: {name: beam, beam_size: 4}\n", "").replace("name: translation", "name: speech_recognition"))
    bare, named = (read_recipe(path, [change]).search for change in ("search=beam", "search={name: beam}"))
    assert bare == named
    assert read_recipe(path, ["search.beam_size=3"]).search.limits == named.limits


def test_a_path_given_by_set_starts_from_the_current_folder(path, tmp_path, monkeypatch):
    """One in the recipe starts from the recipe's folder, also beside a changed one; a value of another kind is no path."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    changes = [
        "data.train={source: a.en, target: a.no}",
        "data.cache=cache",
        "training.init_from=first",
        "task.vocabulary={run: first}",
        "task.source_vocabulary=null",
        "task.target_vocabulary=null",
        "search.language_model={run: helper, weight: 0.2}",
        "distillation={teachers: [first]}",
    ]
    as_written, recipe = read_recipe(path, ["data.test=test.tsv"]), read_recipe(path, changes)
    assert as_written.data.test[0].path == str(here / "test.tsv")
    assert as_written.data.train[0].path == str(path.parent / "train.tsv")
    assert (recipe.data.train[0].source, recipe.data.train[0].target) == (str(here / "a.en"), str(here / "a.no"))
    assert recipe.data.cache == here / "cache"
    assert recipe.training.init_from == recipe.task.vocabulary.run == here / "first"
    assert recipe.search.language_model.run == here / "helper"
    assert recipe.distillation.teachers == (here / "first",)
    later = with_overrides(as_written, changes)  # as `predict`, `evaluate` and `export` do it with the recipe of a run
    assert later.search == recipe.search
    assert later.data.train == recipe.data.train
