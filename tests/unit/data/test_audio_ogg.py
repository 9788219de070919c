"""OGG: joined recordings are refused, since the decoder reads the first alone; and a part is found in the last page, too."""

import io

import numpy as np
import pytest
import soundfile

from antiphon.data.audio import open_audio
from antiphon.errors import DataError
from tests.unit.data.sounds import tone, write


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_joined_recordings_are_refused_with_the_command_that_mends_them(tmp_path, subtype):
    contents = [write(tmp_path / f"{hertz}.ogg", tone(3, hertz), 16000, subtype=subtype).read_bytes() for hertz in (300, 700)]
    (tmp_path / "joined.ogg").write_bytes(b"".join(contents))
    for value in (tmp_path / "joined.ogg", b"".join(contents)):
        with pytest.raises(DataError, match=r"holds several, as if files were joined\. Convert it: ffmpeg"):
            open_audio(value)
    assert open_audio(contents[0]).seconds == 3


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_part_in_the_last_page_is_where_it_is(subtype):
    time = np.arange(20 * 16000 + 77) / 16000
    samples = 0.1 * np.random.default_rng(0).standard_normal(len(time)) * np.exp(-(time % 0.7) * 8)
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 16000, 1, format="OGG", subtype=subtype) as opened:
        for start in range(0, len(samples), 16000):
            opened.write(samples[start : start + 16000])
    whole = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")[0]
    for start in np.linspace(18.5, 19.9, 20):
        found = open_audio(file.getvalue()).read(16000, start, start + 0.1)
        np.testing.assert_allclose(found, whole[round(start * 16000) : round((start + 0.1) * 16000)], atol=1e-6)
