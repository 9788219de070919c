"""What is proposed for summaries: the longer text is the document, of which as much is read as the minutes allow."""

from pathlib import Path

import pytest

from antiphon.contracts import registry
from antiphon.contracts.files import as_file
from antiphon.prediction.memory import silent
from antiphon.runs.data_look import look_at


@pytest.mark.parametrize(("minutes", "words"), [(2.5, 60), (10.0, 120), (45.0, 250)])
def test_few_minutes_read_the_beginning_of_documents(tmp_path: Path, minutes: float, words: int) -> None:
    rows = [f"a title\t{'word ' * 300}of {number}" for number in range(20)]
    (tmp_path / "texts.tsv").write_text("title\ttext\n" + "\n".join(rows) + "\n")
    plugin = registry.find("tasks", "summarization")
    look, _ = look_at(plugin, [as_file(tmp_path / "texts.tsv")], minutes, {}, silent)
    assert plugin.draft is not None
    chosen = {name: proposal.value for name, proposal in plugin.draft(look).settings.items()}
    assert (chosen["task.source"], chosen["task.target"]) == ("text", "title")
    assert chosen["data.limits"] == {"max_source_length": words, "too_long": "truncate"}
