"""What is proposed for recordings of digits: words, bands of the telephone, and masks that leave most of a short recording."""

import zipfile
from pathlib import Path

from antiphon.contracts import registry
from antiphon.contracts.files import as_file
from antiphon.prediction.memory import silent
from antiphon.runs.data_look import look_at

DIGITS = Path(__file__).parents[4] / "examples" / "data" / "speech" / "digits.zip"


def test_digits_of_some_voices(tmp_path: Path) -> None:
    with zipfile.ZipFile(DIGITS) as archive:
        names = [name for name in archive.namelist() if name.endswith("-0.flac")]
        archive.extractall(tmp_path, names)
    rows = [f"{name}\t{Path(name).name.removesuffix('-0.flac')}\t{Path(name).parent}" for name in names]
    (tmp_path / "digits.tsv").write_text("audio\ttext\tspeaker\n" + "\n".join(rows) + "\n")
    plugin = registry.find("tasks", "speech_recognition")
    look, _ = look_at(plugin, [as_file(tmp_path / "digits.tsv")], 2.5, {}, silent)
    assert plugin.draft is not None
    draft = plugin.draft(look)
    chosen = {name: proposal.value for name, proposal in draft.settings.items()}
    assert chosen["task.sample_rate"] == 8000
    assert chosen["task.features"] == {"kind": "filter_banks", "bins": 40}
    assert chosen["task.normalization"] == "global"
    masks = chosen["task.augmentation"]
    assert masks["frequency_masks"] * masks["frequency_width"] <= 40 // 5
    assert masks["time_masks"] * masks["time_width"] <= 20
    assert 1.0 in masks["speeds"], "few voices are also heard slower and faster"
    assert chosen["task.vocabulary"] == {"kind": "word"}
    assert chosen["task.speaker"] == "speaker"
    widths = [size["encoder"].value["dim"] for size in draft.models]
    assert widths == sorted(widths), "the smallest first, which is taken where nothing could be measured"
    assert widths[0] == 64
