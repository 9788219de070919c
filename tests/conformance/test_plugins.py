"""What every plug-in of every kind promises: settings that are documented, losses and metrics that add up, texts that come back."""

import numpy as np
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain, setting_fields, validate
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.errors import ConfigError, DataError
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.heads.choice import build_head
from tests.conformance.variants import SPECS, VARIANTS, architectures, batch, close, fresh, widened

CONFIGURED = [(kind, name) for kind in ("models", "tasks", "search", "losses", "heads") for name in registry.names(kind)]
# Settings that have no default, since nobody but the user can know them.
REQUIRED = {("tasks", "forecasting"): {"horizon": 6}}
every_configured = pytest.mark.parametrize(("kind", "name"), CONFIGURED, ids=[f"{kind}-{name}" for kind, name in CONFIGURED])


@every_configured
def test_settings_have_defaults_a_name_and_a_docstring_each(kind, name):
    cls = registry.find(kind, name).Config
    settings = validate(cls, REQUIRED.get((kind, name), {}))
    assert settings.name == name
    assert plain(settings)["name"] == name
    assert validate(cls, plain(settings)) == settings
    undocumented = [key for key, field in setting_fields(cls).items() if not field.description]
    assert not undocumented, f"{cls.__name__}: a docstring under {', '.join(undocumented)}"
    assert cls.__doc__
    with pytest.raises(ConfigError, match="`nonsense` is not a setting"):
        validate(cls, {"nonsense": 1})


@architectures()
def test_presets_are_settings(variant):
    plugin = registry.find("models", variant.architecture)
    for values in plugin.presets.values():
        plugin.Config(**values)
    assert plugin.revision >= 1


# ---------------------------------------------------------------------------------------------------------------- losses

COMBINATIONS = [
    (loss, head, kind)
    for loss in registry.names("losses")
    for kind in ("tokens", "values")
    for head in registry.names("heads")
    if registry.find("heads", head).loss == loss
    or (head == "point" and loss in ("absolute_error", "huber"))
    or (head, loss) == ("categorical", "minimum_risk")
    if (head in ("categorical", "pointer")) == (kind == "tokens")
]
every_combination = pytest.mark.parametrize(("name", "head", "kind"), COMBINATIONS, ids=["-".join(each) for each in COMBINATIONS])


def test_every_loss_suits_a_head_and_every_head_a_loss():
    of_frames = {"ctc", "joint_ctc", "transducer"}  # these read what is said of frames, beside a head or without one
    assert {loss for loss, _, _ in COMBINATIONS} == set(registry.names("losses")) - of_frames
    assert {head for _, head, _ in COMBINATIONS} == set(registry.names("heads"))


def labels_for(head, padded):
    """Labels in single precision; counts for a head that says counts, large enough that a first guess is far from them."""
    if not padded.values.is_floating_point():
        return padded
    return Padded((10 * padded.values).abs().round().float() if head == "negative_binomial" else padded.values.float(), padded.lengths)


def losses_for(name, kind):
    """The loss to train with and the one to report; the other kind of target must be refused."""
    plugin = registry.find("losses", name)
    with pytest.raises(ConfigError, match=r"training\.loss\.name"):
        plugin.build(plugin.Config(), SPECS["tokens" if kind == "values" else "values"][1])
    return tuple(make(plugin.Config(), SPECS[kind][1]) for make in (plugin.build, plugin.measure))


def said(head, features, layer, rows, seed):
    """An output for some of three rows; a head that copies gets attention over a source, which does not depend on the steps behind."""
    if head != "pointer":
        return Output(features, layer)
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(4, 11, (3, 5), generator=generator)[rows]
    attention = torch.rand(3, 20, 5, generator=generator).softmax(-1)[rows, : features.shape[1]]
    memory = Memory(torch.zeros(len(symbols), 5, 8), torch.ones(len(symbols), 5, dtype=torch.bool), copyable=symbols)
    return Output(features, layer.over(attention, memory), attention)


@every_combination
def test_a_loss_is_a_sum_of_rows_and_padding_changes_none(name, head, kind, seed):
    data, spec = batch(kind, seed), SPECS[kind][1]
    generator = torch.Generator().manual_seed(seed)
    labels, wide = (labels_for(head, each) for each in (data.labels, widened(data.labels, 2, spec, generator)))
    settings = registry.find("heads", head).Config()
    layer, features = build_head(settings, spec, 8), torch.randn(3, wide.values.shape[1], 8, generator=generator)
    length = labels.values.shape[1]
    for loss in losses_for(name, kind):
        everything = slice(0, 3)
        found = loss(said(head, features[:, :length], layer, everything, seed), labels)
        assert bool(found.rows.isfinite().all())
        close(found.total, found.rows.sum(), 1e-5)
        weights = torch.tensor([0.5, 0.0, 2.0])
        weighted = loss(said(head, features[:, :length], layer, everything, seed), labels, weights)
        close(weighted.total, (found.rows * weights).sum(), 1e-5)
        close(weighted.rows, found.rows, 1e-5)
        more = loss(said(head, features, layer, everything, seed), wide)
        close(more.rows, found.rows, 1e-5)
        for row in range(3):
            own = Padded(labels.values[row : row + 1], labels.lengths[row : row + 1])
            one = slice(row, row + 1)
            alone = loss(said(head, features[one, :length], layer, one, seed), own)
            close(alone.rows[0], found.rows[row], 1e-5)


@every_combination
def test_a_loss_falls_when_it_is_minimized(name, head, kind, seed):
    loss, measure = losses_for(name, kind)
    model, data = fresh(VARIANTS["lstm"][0], seed, *SPECS[kind], head={"name": head}), batch(kind, seed)
    source, inputs, labels = (labels_for(head, each) for each in (data.source, data.inputs, data.labels))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)

    def reported():
        with torch.no_grad():
            return float(measure(model(source, inputs), labels).total / labels.mask.sum())

    before = reported()
    for _ in range(40):
        optimizer.zero_grad()
        loss(model(source, inputs), labels).total.backward()
        optimizer.step()
    assert reported() < before - 0.3 * abs(before)


# --------------------------------------------------------------------------------------------------------------- metrics

TEXTS = ["The cat sat on the mat.", "naïve Grüße", "一二三 四五", "one", "a b c d e f g h", ""]


def reads_texts(name):
    """Whether a metric compares texts; one of forecasts must refuse them with a DataError, and anything else is a failure."""
    try:
        registry.find("metrics", name).statistics(["a"], [["a"]])
    except DataError:
        return False
    return True


every_text_metric = pytest.mark.parametrize("name", [name for name in registry.names("metrics") if reads_texts(name)])


def test_the_metrics_of_text_tasks_read_texts():
    assert all(reads_texts(name) for name in registry.find("tasks", "translation").metrics)


@every_text_metric
def test_a_metric_is_a_function_of_summed_statistics(name):
    metric = registry.find("metrics", name)
    assert metric.signature
    references = [[text, text + " more"] for text in TEXTS]
    predictions = ["the cat sat on a mat", *TEXTS[1:]]
    table = metric.statistics(predictions, references)
    assert table.shape[0] == len(TEXTS)
    one_by_one = np.concatenate([metric.statistics([p], [r]) for p, r in zip(predictions, references, strict=True)])
    np.testing.assert_allclose(table, one_by_one, err_msg="an item's statistics must not depend on the others")
    whole = metric.aggregate(table.sum(0))
    assert np.isfinite(whole)
    resamples = metric.aggregate(np.stack([table.sum(0), table[:3].sum(0)]))
    assert resamples.shape == (2,)
    np.testing.assert_allclose(resamples[0], whole)


@every_text_metric
def test_a_perfect_prediction_scores_best(name):
    metric = registry.find("metrics", name)
    if metric.higher_is_better is None:
        pytest.skip("it describes predictions, of which none is perfect")

    def value(predictions, references=TEXTS):
        return float(metric.aggregate(metric.statistics(predictions, [[text] for text in references]).sum(0)))

    perfect = value(TEXTS)
    for worse in ([text[:-1] + "#" if text else "#" for text in TEXTS], [""] * len(TEXTS), ["entirely other words here"] * len(TEXTS)):
        assert value(worse) < perfect if metric.higher_is_better else value(worse) > perfect
    phrases = [text for text in TEXTS if " " in text]  # ROUGE-2 is 0 by definition where a text has no two words
    perfect = value(phrases, phrases)
    assert perfect == pytest.approx(0.0 if not metric.higher_is_better else 100.0 if perfect > 1 else 1.0)


# -------------------------------------------------------------------------------------------------------------- features

LINES = [
    "The file could not be opened.",
    "Größe: 12 µm",
    "日本語のテキスト",
    "a  b\tc",
    "αβγ δεζ",
    "one two three",
    "x",
    "(parentheses) [brackets]",
] * 6
ODD = ["", " ", "  two  spaces ", "never seen: ☃ \U0001f600", "tab\tand\nline", "\u00a0e\u0301 combining \u2581", "ＦＵＬＬ ﬁ ½"]


@pytest.mark.parametrize("kind", ["unigram", "bpe", "character", "byte"])
def test_lossless_texts_come_back_as_they_were(kind, tmp_path):
    settings = TextConfig(kind=kind, lossless=True, **({"size": 400} if kind in ("unigram", "bpe") else {}))
    feature = TextFeature(settings)
    feature.fit(LINES)
    feature.save(tmp_path)
    loaded = TextFeature(settings)
    loaded.load(tmp_path)
    for text in (*LINES[:8], *ODD):
        symbols = feature.encode(text)
        assert feature.decode(symbols) == text
        assert loaded.decode(loaded.encode(text)) == text
        assert np.array_equal(loaded.encode(text), symbols)
        assert feature.spec.unknown not in symbols.tolist()
