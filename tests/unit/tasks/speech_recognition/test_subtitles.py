"""Cues and their files."""

import re
from itertools import pairwise

from antiphon.tasks.speech_recognition.subtitles import Cue, cues, written


def words(*times, text="word"):
    return [{"word": f"{text}{number}", "start": start, "end": end} for number, (start, end) in enumerate(times)]


def test_words_become_cues_that_end_at_pauses_and_fit_two_lines():
    found = cues([], words((0, 0.5), (0.6, 1.0), (3.0, 3.5)))
    assert found == [Cue(0.0, 1.0, "word0 word1"), Cue(3.0, 3.5, "word2")]
    many = cues([], words(*((0.1 * number, 0.1 * number + 0.1) for number in range(60))))
    assert len(many) > 3
    assert all(len(line) <= 42 for block in written(many, "srt").split("\n\n") for line in block.split("\n")[2:])
    assert " ".join(cue.text for cue in many).split() == [f"word{number}" for number in range(60)]
    slow = cues([], words(*((2 * number, 2 * number + 1.5) for number in range(8))))
    assert all(cue.end - cue.start <= 7 for cue in slow)


def test_segments_share_their_time_by_characters():
    text = " ".join(["abcdefghi"] * 40)
    found = cues([{"start": 10.0, "end": 30.0, "text": text}, {"start": 40.0, "end": 41.0, "text": ""}])
    assert found[0].start == 10
    assert found[-1].end == 30.0
    assert all(one.end == two.start for one, two in pairwise(found))
    assert " ".join(cue.text for cue in found) == text
    assert len(cues([{"start": 0, "end": 9, "text": "x" * 300}])) == 4
    assert cues([{"start": 0, "end": 1, "text": "a"}], [{"word": "a"}]) == [Cue(0.0, 1.0, "a")]


def test_srt_and_vtt_are_written_as_players_read_them():
    found = [Cue(0.0, 1.5, "One & <two>"), Cue(3661.0004, 3662.9996, "later")]
    assert written(found, "srt") == ("1\n00:00:00,000 --> 00:00:01,500\nOne & <two>\n\n2\n01:01:01,000 --> 01:01:03,000\nlater\n")
    vtt = written(found, "vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne &amp; &lt;two&gt;\n\n")
    assert len(re.findall(r"^\d\d:\d\d:\d\d\.\d{3} --> \d\d:\d\d:\d\d\.\d{3}$", vtt, re.MULTILINE)) == 2
    assert written([], "vtt") == "WEBVTT\n"
