"""The decoder of recurrent units: Marian's formulas, a state of one size, and beams."""

import numpy as np
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.models.transformer import TransformerConfig, build

TOKENS = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3, fingerprint="test")
HEADS = 2
MARIAN = {
    "dim": 8,
    "heads": HEADS,
    "feed_forward_dim": 12,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "norm_position": "post",
    "decoder": "ssru",
    "tied_embeddings": "all",
    "head": {"name": "categorical", "bias": True},
    "dropout": 0.0,
}


def make(**settings):
    model = build(validate(TransformerConfig, {**MARIAN, **settings}), TOKENS, TOKENS).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


class Marian:
    """A translator of Marian's kind in NumPy, for one sentence: post-norm encoder, SSRU decoder, tied embeddings."""

    def __init__(self, model):
        self.weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}

    def norm(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        scale, shift = self.weights[name + ".norm.weight"], self.weights[name + ".norm.bias"]
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale + shift

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def positions(self, steps):
        half = 4
        angles = np.asarray(steps)[:, None] * np.exp(np.arange(half) * -np.log(10_000) / (half - 1))
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    def embed(self, symbols, steps):
        return self.weights["target_positioned.frontend.embedding.weight"][symbols] * np.sqrt(8) + self.positions(steps)

    def attend(self, queries, keys, values, out):
        queries, keys, values = (part.reshape(len(part), HEADS, -1).transpose(1, 0, 2) for part in (queries, keys, values))
        scores = np.exp(queries @ keys.transpose(0, 2, 1) / np.sqrt(queries.shape[-1]))
        mixed = (scores / scores.sum(-1, keepdims=True) @ values).transpose(1, 0, 2)
        return self.linear(mixed.reshape(len(mixed), -1), out)

    def feed_forward(self, x, layer):
        hidden = np.maximum(self.linear(x, layer + ".feed_forward.expand"), 0)
        return self.norm(x + self.linear(hidden, layer + ".feed_forward.contract"), layer + ".feed_forward_residual")

    def encode(self, symbols):
        x = self.embed(symbols, range(len(symbols)))
        for layer in (f"encoder.{depth}" for depth in range(3)):
            parts = np.split(self.linear(x, layer + ".attention.query_key_value"), 3, axis=-1)
            x = self.norm(x + self.attend(*parts, layer + ".attention.out"), layer + ".attention_residual")
            x = self.feed_forward(x, layer)
        return x

    def logits(self, source, inputs):
        memory, cells, found = self.encode(source), np.zeros((2, 8)), []
        for step, symbol in enumerate(inputs):
            y = self.embed([symbol], [step])
            for depth in range(2):
                layer = f"decoder.{depth}"
                gate_matrix, matrix = np.split(self.weights[layer + ".recurrence.gate_candidate.weight"], 2)
                gate = 1 / (1 + np.exp(-(y @ gate_matrix.T + self.weights[layer + ".recurrence.gate_bias"])))
                cells[depth] = (gate * cells[depth] + (1 - gate) * (y @ matrix.T))[0]
                y = self.norm(y + np.maximum(cells[depth], 0), layer + ".attention_residual")
                keys, values = np.split(self.linear(memory, layer + ".cross.key_value"), 2, axis=-1)
                found_here = self.attend(self.linear(y, layer + ".cross.query"), keys, values, layer + ".cross.out")
                y = self.feed_forward(self.norm(y + found_here, layer + ".cross_residual"), layer)
            found.append(y @ self.weights["target_positioned.frontend.embedding.weight"].T + self.weights["head.bias"])
        return np.concatenate(found)


@torch.no_grad()
def test_the_same_logits_as_marians_formulas(seed):
    model = make()
    source, inputs = torch.randint(4, 11, (1, 7)), torch.randint(4, 11, (1, 9))
    expected = Marian(model).logits(source[0].numpy(), inputs[0].numpy())
    memory = model.encode(Padded(source, torch.tensor([7])))
    np.testing.assert_allclose(model.decode(Padded(inputs, torch.tensor([9])), memory).values[0].numpy(), expected, rtol=1e-5, atol=1e-6)
    memory, state = model.project(memory), model.init_state(memory, 1, 9)
    for step in range(9):
        output, state = model.step(inputs[:, step], memory, state)
        np.testing.assert_allclose(output.values[0].numpy(), expected[step], rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_a_state_is_one_vector_for_each_layer_and_beams_can_be_reordered(seed):
    model = make()
    memory = model.encode(Padded(torch.randint(4, 11, (2, 5)), torch.tensor([5, 3])))
    projected, state = model.project(memory), model.init_state(memory, 3, 100)
    said = torch.randint(4, 11, (6, 8))
    for step in range(8):
        order = torch.cat([torch.randint(0, 3, (3,)), torch.randint(3, 6, (3,))])
        state, said = select_rows(state, order), torch.cat([said[order, :step], said[:, step:]], dim=1)
        output, state = model.step(said[:, step], projected, state)
        assert state.cells.shape == (6, 2, 8)
    every = select_rows(memory, torch.arange(2).repeat_interleave(3))
    expected = model.decode(Padded(said, torch.full((6,), 8)), every).values[:, -1]
    torch.testing.assert_close(output.values, expected)


def test_a_recurrent_decoder_learns_no_positions_that_it_would_not_use(seed):
    for kind in ("relative", "rotary"):
        model = make(positions=kind)
        assert model.target_positioned.bias is None
        assert model.target_positioned.rotary is None
