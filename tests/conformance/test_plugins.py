"""What every plug-in of every kind promises: settings that are documented, losses and metrics that add up, texts that come back."""

import numpy as np
import pytest
import torch

from antiphon import registry
from antiphon.configuration import plain, validate
from antiphon.errors import ConfigError
from antiphon.features.text import TextConfig, TextFeature
from antiphon.sequences import Output, Padded
from tests.conformance.variants import SPECS, TOKENS, VALUES, architectures, batch, close, fresh, widened

CONFIGURED = [(kind, name) for kind in ("models", "tasks", "search", "losses", "heads") for name in registry.names(kind)]
every_configured = pytest.mark.parametrize(("kind", "name"), CONFIGURED, ids=[f"{kind}-{name}" for kind, name in CONFIGURED])


@every_configured
def test_settings_have_defaults_a_name_and_a_docstring_each(kind, name):
    cls = registry.find(kind, name).Config
    settings = cls()
    assert settings.name == name
    assert plain(settings)["name"] == name
    assert validate(cls, plain(settings)) == settings
    undocumented = [key for key, field in cls.__pydantic_fields__.items() if not field.description]
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

every_loss = pytest.mark.parametrize("name", registry.names("losses"))


def kinds_for(plugin):
    """The kinds of targets that a loss accepts, with the loss itself."""
    found = []
    for kind in ("tokens", "values"):
        try:
            found.append((kind, plugin.build(plugin.Config(), SPECS[kind][1]), plugin.measure(plugin.Config(), SPECS[kind][1])))
        except ConfigError:
            continue
    return found


@every_loss
def test_a_loss_is_one_number_per_element_and_padding_changes_none(name, seed):
    plugin = registry.find("losses", name)
    usable = kinds_for(plugin)
    assert usable, "a loss must suit symbols or values"
    for kind, *losses in usable:
        data, spec = batch(kind, seed), SPECS[kind][1]
        size = spec.size if spec is TOKENS else VALUES.channels
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(*data.labels.values.shape[:2], size, generator=generator)
        labels = Padded(data.labels.values if spec is TOKENS else data.labels.values.float(), data.labels.lengths)
        wide = widened(labels, 2, spec, generator)
        wide = Padded(wide.values if spec is TOKENS else wide.values.float(), wide.lengths)
        wider = torch.cat([logits, torch.randn(3, 2, size, generator=generator)], 1)
        for loss in losses:
            found = loss(Output(logits, _same), labels)
            assert found.shape == labels.values.shape[:2]
            assert bool(found[labels.mask].isfinite().all())
            more = loss(Output(wider, _same), wide)
            close(more[:, : found.shape[1]][labels.mask], found[labels.mask], 1e-6)
            for row in range(3):
                alone = loss(Output(logits[row : row + 1], _same), Padded(labels.values[row : row + 1], labels.lengths[row : row + 1]))
                close(alone[0][labels.mask[row]], found[row][labels.mask[row]], 1e-6)


def _same(features):
    return features


@every_loss
def test_a_loss_falls_when_it_is_minimized(name, seed):
    plugin = registry.find("losses", name)
    for kind, loss, measure in kinds_for(plugin):
        variant = next(iter(architectures().args[1]))
        model, data = fresh(variant, seed, *SPECS[kind]), batch(kind, seed)
        if kind == "values":
            data = type(data)(*(Padded(side.values.float(), side.lengths) for side in (data.source, data.target)), data.records)
        optimizer = torch.optim.Adam(model.parameters(), 0.02)
        values = []
        for _ in range(40):
            values.append(float(measure(model(data.source, data.inputs), data.labels)[data.labels.mask].mean().detach()))
            optimizer.zero_grad()
            (loss(model(data.source, data.inputs), data.labels) * data.labels.mask).sum().backward()
            optimizer.step()
        assert values[-1] < 0.7 * values[0]


# --------------------------------------------------------------------------------------------------------------- metrics

TEXTS = ["The cat sat on the mat.", "naïve Grüße", "一二三 四五", "one", "a b c d e f g h", ""]
every_metric = pytest.mark.parametrize("name", registry.names("metrics"))


@every_metric
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


@every_metric
def test_a_perfect_prediction_scores_best(name):
    metric = registry.find("metrics", name)

    def value(predictions):
        return float(metric.aggregate(metric.statistics(predictions, [[text] for text in TEXTS]).sum(0)))

    perfect = value(TEXTS)
    for worse in ([text[:-1] + "#" if text else "#" for text in TEXTS], [""] * len(TEXTS), ["entirely other words here"] * len(TEXTS)):
        assert value(worse) < perfect if metric.higher_is_better else value(worse) > perfect
    assert perfect == pytest.approx(0.0 if not metric.higher_is_better else 100.0 if perfect > 1 else 1.0)


# -------------------------------------------------------------------------------------------------------------- features

LINES = ["The file could not be opened.", "Größe: 12 µm", "日本語のテキスト", "a  b\tc", "αβγ δεζ", "one two three", "x", "(parentheses) [brackets]"] * 6
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
