"""Matrices in Kaldi's archives: of every kind, at any place, and ranges of them."""

import struct
from pathlib import Path

import numpy as np
import pytest

from antiphon.data.kaldi_matrices import read_matrix, without_range
from antiphon.data.precomputed_frames import kaldi_normalized, read_frames
from antiphon.errors import DataError
from tests.judges import judge
from tests.unit.data.kaldi_files import plain, write_ark

MATRIX = np.arange(15, dtype=np.float32).reshape(5, 3) / 4


def test_matrices_of_every_kind(tmp_path: Path) -> None:
    """Bytes by hand from `matrix/compressed-matrix.h`: 0 is the least value, 64 and 192 are the quartiles of a column, 255 the greatest."""
    corners = np.array([[0, 16384, 49151, 65535], [0, 0, 65535, 65535]], dtype="<u2").tobytes()
    one = b"\0BCM " + struct.pack("<ffii", -1.0, 2.0, 3, 2) + corners + bytes([0, 64, 255, 0, 128, 192])
    two = b"\0BCM2 " + struct.pack("<ffii", -1.0, 2.0, 1, 2) + np.array([0, 65535], dtype="<u2").tobytes()
    three = b"\0BCM3 " + struct.pack("<ffii", 0.0, 255.0, 2, 1) + bytes([7, 250])
    double = plain(MATRIX.astype(np.float64))
    places = write_ark(tmp_path / "a.ark", {"f": plain(MATRIX), "d": double, "1": one, "2": two, "3": three})
    for key in "fd":
        np.testing.assert_array_equal(read_matrix(Path(places[key])), MATRIX)
    np.testing.assert_allclose(read_matrix(Path(places["1"])), [[-1, -1], [-0.5, 0], [1, 1]], atol=1e-4)
    np.testing.assert_allclose(read_matrix(Path(places["2"])), [[-1, 1]], atol=1e-6)
    np.testing.assert_allclose(read_matrix(Path(places["3"])), [[7], [250]])
    (tmp_path / "one.mat").write_bytes(double)
    np.testing.assert_array_equal(read_matrix(tmp_path / "one.mat"), MATRIX)


@pytest.mark.parametrize(
    ("part", "rows", "columns"),
    [
        ("[0:2]", slice(0, 3), slice(None)),
        ("[2:2]", slice(2, 3), slice(None)),
        ("[1:3,0:1]", slice(1, 4), slice(0, 2)),
        ("[:,1:2]", slice(None), slice(1, 3)),
        ("[0:7]", slice(None), slice(None)),  # Kaldi cuts what lies up to three rows behind the end
    ],
)
def test_ranges_have_their_last_row(tmp_path: Path, part: str, rows: slice, columns: slice) -> None:
    place = write_ark(tmp_path / "a.ark", {"f": plain(MATRIX)})["f"] + part
    np.testing.assert_array_equal(read_matrix(Path(place)), MATRIX[rows, columns])
    assert str(without_range(Path(place))) + part == place


def test_what_is_no_matrix_is_refused(tmp_path: Path) -> None:
    entries = {"f": plain(MATRIX), "w": b"RIFF....", "t": b" [\n 1 2 ]", "v": b"\0BFV \4\2\0\0\0........", "e": plain(MATRIX)[:40]}
    places = write_ark(tmp_path / "a.ark", entries)
    for key, message in (("w", "has a sound there"), ("t", "has no binary data there"), ("v", r"has something else \(`FV`\) there")):
        with pytest.raises(DataError, match=message + r"\. Write it again by Kaldi: copy-feats"):
            read_matrix(Path(places[key]))
    with pytest.raises(DataError, match=r"is cut off or damaged: 25 of 60 bytes are there of the matrix at byte"):
        read_matrix(Path(places["e"]))
    for part in ("[3:1]", "[0:8]", "[5:6]", "[0:1,0:3]"):
        with pytest.raises(
            DataError, match=r"The range of .* must lie within the matrix, whose last (row is 4|column is 2), but goes from"
        ):
            read_matrix(Path(places["f"] + part))
    with pytest.raises(DataError, match="There is no file"):
        read_matrix(tmp_path / "b.ark:3[0:1]")


def test_frames_of_numpy_and_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", MATRIX.astype(np.float16))
    content = (tmp_path / "a.npy").read_bytes()
    for value in (
        str(tmp_path / "a.npy"),
        content,
        MATRIX.tolist(),
        {"path": str(tmp_path / "a.npy"), "offset": 3},
        {"array": MATRIX},
    ):
        frames, _ = read_frames(value)
        assert frames.dtype == np.float32
        np.testing.assert_array_equal(frames, MATRIX)
    for value, message in (
        ([[1.0], [2.0, 3.0]], "its rows differ in length"),
        ([1.0, 2.0], r"must be a matrix of numbers \(frames, channels\), but is float64 of shape \(2,\)"),
        (np.zeros((0, 3)), "must have at least one frame"),
        ([[1.0], [np.nan]], "NaN or infinity in frame 1"),
        (b"RIFF", "a file that `numpy.save` wrote"),
        ({}, "must have `path`, `array`, `bytes` or `base64`, but have: nothing"),
    ):
        with pytest.raises(DataError, match=message):
            read_frames(value)


def test_statistics_of_a_speaker_make_mean_0_and_variance_1(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frames = (3 + 2 * generator.standard_normal((50, 4))).astype(np.float32)
    sums = np.stack([np.append(frames.sum(0), 50), np.append(np.square(frames).sum(0), 0)]).astype(np.float64)
    place = Path(write_ark(tmp_path / "cmvn.ark", {"s": plain(sums)})["s"])
    found = kaldi_normalized(frames, place, "a")
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(0), 1, atol=1e-5)
    with pytest.raises(DataError, match=r"must have 2 rows of 4 numbers for a, sums and a count above 0, but have the shape \(2, 5\)"):
        kaldi_normalized(frames[:, :3], place, "a")


def test_what_kaldiio_wrote_is_read_as_it_reads_it(tmp_path: Path) -> None:
    kaldiio = judge("kaldiio", extra="dev")
    generator = np.random.default_rng(0)
    matrices = {f"u{n}": generator.standard_normal((n, 7)).astype("f8" if n % 2 else "f4") * 10 for n in (1, 2, 9, 40)}
    for method in (None, 1, 2, 3, 5):
        with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp", compression_method=method) as writer:
            for key, matrix in matrices.items():
                writer(key, matrix)
        for line in (tmp_path / "a.scp").read_text().splitlines():
            place = line.split()[1]
            np.testing.assert_allclose(read_matrix(Path(place)), kaldiio.load_mat(place), atol=1e-5)
            np.testing.assert_array_equal(read_matrix(Path(f"{place}[0:0,2:4]")), read_matrix(Path(place))[:1, 2:5])
