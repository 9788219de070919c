"""Positions: formulas from the papers and from published code, written down independently."""

import math

import pytest
import torch

from antiphon.layers.positions import RelativeBias, Rotary, rotate, sinusoids


def t5_bucket(distance: int, *, bidirectional: bool, buckets: int, max_distance: int) -> int:
    """`T5Attention._relative_position_bucket` of transformers (modeling_t5.py, Apache 2.0), for one integer.

    `distance` is key position minus query position.
    """
    result = 0
    if bidirectional:
        buckets //= 2
        result += (1 if distance > 0 else 0) * buckets
        distance = abs(distance)
    else:
        distance = -min(distance, 0)
    exact = buckets // 2
    if distance < exact:
        return result + distance
    far = exact + int(math.log(distance / exact) / math.log(max_distance / exact) * (buckets - exact))
    return result + min(far, buckets - 1)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("buckets", "max_distance"), [(32, 128), (8, 20)])
def test_relative_buckets_are_those_of_t5(bidirectional, buckets, max_distance):
    layer = RelativeBias(2, bidirectional=bidirectional, buckets=buckets, max_distance=max_distance)
    with torch.no_grad():
        layer.table.weight.copy_(torch.arange(buckets).unsqueeze(1).expand(-1, 2))
    positions = torch.arange(200)
    found = layer(positions, positions)
    assert found.shape == (2, 200, 200)
    # Powers of the ratio fall on a boundary, where single precision may round either way; the published code shares this.
    for query in (0, 7, 100, 199):
        for key in range(200):
            expected = t5_bucket(key - query, bidirectional=bidirectional, buckets=buckets, max_distance=max_distance)
            exact = abs(key - query) < 2 or math.log2(abs(key - query)) % 1 > 1e-9
            assert abs(int(found[0, query, key]) - expected) <= (0 if exact else 1), (query, key)


def test_the_bias_of_a_step_is_a_row_of_the_bias_of_a_sequence():
    layer, positions = RelativeBias(3, bidirectional=False), torch.arange(9)
    whole = layer(positions, positions)
    steps = layer(torch.tensor([[4], [0], [8]]), positions)
    assert steps.shape == (3, 3, 1, 9)
    for row, position in enumerate((4, 0, 8)):
        torch.testing.assert_close(steps[row, :, 0], whole[:, position])


def test_rotary_scores_depend_on_the_distance_only(seed):
    rotary = Rotary(8)
    query, key = torch.randn(8, dtype=torch.float64), torch.randn(8, dtype=torch.float64)

    def score(query_position, key_position):
        turned = [rotate(x, *rotary.angles(torch.tensor(position))) for x, position in ((query, query_position), (key, key_position))]
        return float(turned[0] @ turned[1])

    assert score(5, 3) == pytest.approx(score(105, 103), abs=1e-4)
    assert score(0, 0) == pytest.approx(float(query @ key), abs=1e-6)
    assert score(5, 3) != pytest.approx(score(3, 5), abs=1e-3)
    turned = rotate(query, *rotary.angles(torch.tensor(17)))
    assert float(turned.norm()) == pytest.approx(float(query.norm()), abs=1e-5)


def test_rotary_turns_pairs_by_the_angle_of_the_paper():
    cosines, sines = Rotary(6).angles(torch.tensor([3]))
    for pair in range(3):
        angle = 3 * 10_000 ** (-2 * pair / 6)
        x = torch.zeros(1, 6)
        x[0, pair] = 1.0
        found = rotate(x, cosines, sines)[0]
        assert float(found[pair]) == pytest.approx(math.cos(angle), abs=1e-6)
        assert float(found[pair + 3]) == pytest.approx(math.sin(angle), abs=1e-6)


@pytest.mark.parametrize("dim", [8, 7, 2])
def test_sinusoids_are_those_of_tensor2tensor(dim):
    """`get_timing_signal_1d` of tensor2tensor: rates fall geometrically from 1 to 1/10000; sines first, then cosines, then a zero."""
    found = sinusoids(torch.tensor([[0, 1], [5, 1000]]), dim)
    assert found.shape == (2, 2, dim)
    half = dim // 2
    for position, vector in ((0, found[0, 0]), (1, found[0, 1]), (5, found[1, 0]), (1000, found[1, 1])):
        rates = [10_000 ** (-index / max(half - 1, 1)) for index in range(half)]
        expected = [math.sin(position * rate) for rate in rates] + [math.cos(position * rate) for rate in rates] + [0.0] * (dim % 2)
        assert vector.tolist() == pytest.approx(expected, abs=1e-3 if position == 1000 else 1e-5)
