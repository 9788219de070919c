"""Cues and their files."""

import re
import unicodedata
from itertools import pairwise

import pytest

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


CHINESE = "我们今天要讨论的是语音识别，它把说出来的话变成文字。" * 8
JAPANESE = "「今日」はキャッチボールをしました。コンピューターでゲームをやって、ちょっと休みました。" * 5
THAI = "เราจะพูดถึงการรู้จำเสียงพูดซึ่งแปลงคำพูดให้เป็นข้อความ" * 5
KHMER = "ការសម្គាល់សំឡេងបម្លែងពាក្យសម្ដីទៅជាអត្ថបទ" * 5


@pytest.mark.parametrize("text", [CHINESE, JAPANESE, THAI, KHMER, "我用iPhone手机 " + CHINESE], ids=["zh", "ja", "th", "km", "mixed"])
@pytest.mark.parametrize("timed", [True, False])
def test_scripts_without_spaces_keep_to_seven_seconds_and_two_lines(text, timed):
    segment = {"start": 2.0, "end": 62.0, "text": text}
    spoken = [{"word": word, "start": 2.0 + 30 * place, "end": 32.0 + 30 * place} for place, word in enumerate(text.split())]
    found = cues([segment], spoken if timed else [])
    assert all(0 < cue.end - cue.start <= 7 for cue in found)
    assert "".join(cue.text for cue in found).replace(" ", "") == text.replace(" ", "")
    assert found[0].start == 2.0
    assert all(one.end <= two.start for one, two in pairwise(found))
    for block in written(found, "srt").strip().split("\n\n"):
        _, _, *lines = block.split("\n")
        assert len(lines) <= 2
        for line in lines:
            assert (
                sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line if not unicodedata.combining(letter)) <= 42
            )
            assert unicodedata.category(line[0]) not in ("Mn", "Mc", "Po", "Pe"), "marks and closing punctuation stay with their letters"
            assert line[0] not in "ャュョッー"
            assert line[-1] not in "「เแโไใ"
    if "iPhone" in text:
        assert any("iPhone" in line for line in written(found, "srt").split("\n")), "words of other scripts stay whole"


def test_what_is_said_slowly_is_shown_for_seven_seconds_and_long_words_are_cut():
    assert cues([], [{"word": "well", "start": 1.0, "end": 20.0}]) == [Cue(1.0, 8.0, "well")]
    (slow,) = cues([{"start": 1.0, "end": 20.0, "text": "well"}])
    assert (slow.start, slow.end) == (1.0, 8.0)
    many = cues([{"start": 0.0, "end": 30.0, "text": "one two three four five six"}])
    assert len(many) > 4
    assert all(cue.end - cue.start <= 7 for cue in many)
    found = cues([], [{"word": "x" * 100, "start": 0.0, "end": 3.0}, {"word": "y", "start": 3.0, "end": 3.5}])
    assert [cue.text for cue in found] == ["x" * 84, "x" * 16 + " y"]
    assert written(found, "srt").split("\n")[2:4] == ["x" * 42, "x" * 42]
    korean = "음성 인식은 말을 글로 바꿉니다"
    assert [cue.text for cue in cues([{"start": 0.0, "end": 5.0, "text": korean}])] == [korean]
