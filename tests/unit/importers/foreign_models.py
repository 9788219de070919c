"""Small models of random weights, written byte by byte as other programs write theirs, and what these programs compute with them.

Nothing here is of the package: neither the writers nor the forward passes, which are plain numpy in double precision.
"""

import io
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]

GRAPHEMES = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
PHONEMES = 74

# ------------------------------------------------------------------------------------------------------------- what they share


def softmax(x: Array) -> Array:
    exponents = np.exp(x - x.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def normalized(x: Array, scale: Array, bias: Array, epsilon: float) -> Array:
    deviations = x - x.mean(-1, keepdims=True)
    return deviations / np.sqrt((deviations**2).mean(-1, keepdims=True) + epsilon) * scale + bias


def attended(queries: Array, keys: Array, values: Array, heads: int, *, causal: bool = False) -> Array:
    """Multi-head attention of (T, D) to (S, D)."""
    split = [part.reshape(len(part), heads, -1).transpose(1, 0, 2) for part in (queries, keys, values)]
    scores = split[0] @ split[1].transpose(0, 2, 1) / np.sqrt(split[0].shape[-1])
    if causal:
        scores = scores + np.triu(np.full(scores.shape[1:], -np.inf), 1)
    return (softmax(scores) @ split[2]).transpose(1, 0, 2).reshape(len(queries), -1)


def waves(length: int, dim: int) -> Array:
    rates = np.exp(np.arange(dim // 2) * -np.log(10_000) / (dim // 2 - 1))
    angles = np.arange(length)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


# --------------------------------------------------------------------------------------------------------------------- g2p-en


def g2p_arrays(seed: int, width: int = 6, dim: int = 5) -> Arrays:
    draw = np.random.default_rng(seed)
    shapes = {"fc_w": (PHONEMES, dim), "fc_b": (PHONEMES,)}
    for side, rows in (("enc", len(GRAPHEMES)), ("dec", PHONEMES)):
        shapes |= {f"{side}_emb": (rows, width), f"{side}_w_ih": (3 * dim, width), f"{side}_w_hh": (3 * dim, dim)}
        shapes |= {f"{side}_b_ih": (3 * dim,), f"{side}_b_hh": (3 * dim,)}
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def g2p_predicted(arrays: Arrays, word: str, limit: int = 20) -> list[int]:
    """Numbers of phonemes."""

    def cell(side: str, x: Array, h: Array) -> Array:
        read = arrays[f"{side}_w_ih"] @ x + arrays[f"{side}_b_ih"]
        kept = arrays[f"{side}_w_hh"] @ h + arrays[f"{side}_b_hh"]
        dim = len(h)
        reset, update = sigmoid(read[:dim] + kept[:dim]), sigmoid(read[dim : 2 * dim] + kept[dim : 2 * dim])
        return (1 - update) * np.tanh(read[2 * dim :] + reset * kept[2 * dim :]) + update * h

    state = np.zeros(arrays["enc_w_hh"].shape[1])
    for letter in [*word, "</s>"]:
        state = cell("enc", arrays["enc_emb"][GRAPHEMES.index(letter) if letter in GRAPHEMES else 1], state)
    said, last = list[int](), 2
    for _ in range(limit):
        state = cell("dec", arrays["dec_emb"][last], state)
        logits = arrays["fc_w"] @ state + arrays["fc_b"]
        logits[[0, 2]] = -np.inf  # our searches never say padding or the start symbol
        last = int(logits.argmax())
        if last == 3:
            break
        said.append(last)
    return said


# --------------------------------------------------------------------------------------------------------------------- Marian

MARIAN_SETTINGS = {
    "type": "transformer",
    "transformer-decoder-autoreg": "rnn",
    "dec-cell": "ssru",
    "dec-cell-base-depth": 2,
    "transformer-preprocess": '""',
    "transformer-postprocess": "dan",
    "transformer-postprocess-emb": "d",
    "transformer-ffn-activation": "relu",
    "transformer-heads": 2,
    "transformer-dim-ffn": 12,
    "tied-embeddings-all": "true",
    "dim-emb": 8,
    "enc-depth": 2,
    "dec-depth": 2,
}


def marian_vocabulary(path: Path) -> sentencepiece.SentencePieceProcessor:
    """A vocabulary as Bergamot's: the end symbol is 0, the unknown one 1, and there is neither padding nor a start symbol."""
    lines = ["the cat sat on the mat", "a dog and a cat", "the dog sat", "house and tree and dog", "on a mat"] * 3
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=30,
        hard_vocab_limit=False,
        eos_id=0,
        unk_id=1,
        pad_id=-1,
        bos_id=-1,
        minloglevel=2,
        num_threads=1,
    )
    path.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def marian_arrays(seed: int, symbols: int, settings: Mapping[str, Any] = MARIAN_SETTINGS) -> Arrays:
    draw = np.random.default_rng(seed)
    dim, inside = settings["dim-emb"], settings["transformer-dim-ffn"]
    arrays: Arrays = {}

    def add(name: str, *shape: int) -> None:
        arrays[name] = (draw.normal(size=shape) * 0.6).astype(np.float32)

    def add_norm(name: str) -> None:
        add(f"{name}_ln_scale", 1, dim)
        add(f"{name}_ln_bias", 1, dim)
        arrays[f"{name}_ln_scale"] += 1

    def add_attention(name: str) -> None:
        for part in "qkvo":
            add(f"{name}_W{part}", dim, dim)
            add(f"{name}_b{part}", 1, dim)
        add_norm(f"{name}_Wo")

    def add_feed_forward(name: str) -> None:
        for number, before, behind in ((1, dim, inside), (2, inside, dim)):
            add(f"{name}_ffn_W{number}", before, behind)
            add(f"{name}_ffn_b{number}", 1, behind)
        add_norm(f"{name}_ffn_ffn")

    add("Wemb", symbols, dim)
    add("decoder_ff_logit_out_b", 1, symbols)
    for layer in range(1, settings["enc-depth"] + 1):
        add_attention(f"encoder_l{layer}_self")
        add_feed_forward(f"encoder_l{layer}")
    for layer in range(1, settings["dec-depth"] + 1):
        for name in ("W", "Wf"):
            add(f"decoder_l{layer}_rnn_{name}", dim, dim)
        add(f"decoder_l{layer}_rnn_bf", 1, dim)
        add_norm(f"decoder_l{layer}_rnn_ffn")
        add_attention(f"decoder_l{layer}_context")
        add_feed_forward(f"decoder_l{layer}")
    return arrays


def rounded(array: Array) -> tuple[Array, float]:
    """(integers, factor) of 8 bits."""
    factor = 127 / float(np.abs(array).max())
    return np.round(array * factor).astype(np.int8), factor


def write_marian(path: Path, arrays: Arrays, settings: Mapping[str, Any] = MARIAN_SETTINGS, *, bits: int = 32) -> Arrays:
    """Write a model; returns its weights as the file has them, after rounding."""
    entries: list[tuple[bytes, int, tuple[int, ...], bytes]] = []
    kept: Arrays = {}
    for name, array in arrays.items():
        if bits == 8 and (name == "Wemb" or "_W" in name.removesuffix("_ln_scale").removesuffix("_ln_bias")) and "_ln_" not in name:
            whole, factor = rounded(array)
            stored = whole if name == "Wemb" else whole.T
            data = np.ascontiguousarray(stored).tobytes() + struct.pack("<f", factor) + b"\0" * 252
            entries.append((name.encode(), 0x4101, array.shape, data))
            entries.append((f"{name}_QuantMultA".encode(), 0x404, (1, 1), struct.pack("<f", 3.0)))
            kept[name] = whole.astype(np.float64) / np.float32(factor)
        else:
            entries.append((name.encode(), 0x404, array.shape, array.tobytes()))
            kept[name] = array.astype(np.float64)
    text = "".join(f"{key}: {value}\n" for key, value in settings.items()).encode() + b"\0"
    entries.append((b"special:model.yml", 0x101, (len(text),), text))
    head = struct.pack("<QQ", 1, len(entries))
    head += b"".join(struct.pack("<QQQQ", len(name) + 1, code, len(shape), len(data)) for name, code, shape, data in entries)
    head += b"".join(name + b"\0" for name, *_ in entries)
    head += b"".join(struct.pack(f"<{len(shape)}i", *shape) for _, _, shape, _ in entries)
    padding = -(len(head) + 8) % 256
    path.write_bytes(head + struct.pack("<Q", padding) + b"\0" * padding + b"".join(data for *_, data in entries))
    return kept


def marian_translated(w: Arrays, source: Sequence[int], limit: int, settings: Mapping[str, Any] = MARIAN_SETTINGS) -> list[int]:
    """Numbers of pieces, by the likeliest at each step; the source ends with the end symbol 0."""
    heads, dim = settings["transformer-heads"], settings["dim-emb"]

    def norm(x: Array, name: str) -> Array:
        return normalized(x, w[f"{name}_ln_scale"], w[f"{name}_ln_bias"], 1e-9)

    def attention(name: str, x: Array, memory: Array) -> Array:
        q, k, v = (y @ w[f"{name}_W{part}"] + w[f"{name}_b{part}"] for part, y in (("q", x), ("k", memory), ("v", memory)))
        return norm(x + attended(q, k, v, heads) @ w[f"{name}_Wo"] + w[f"{name}_bo"], f"{name}_Wo")

    def feed_forward(name: str, x: Array) -> Array:
        hidden = np.maximum(x @ w[f"{name}_ffn_W1"] + w[f"{name}_ffn_b1"], 0)
        return norm(x + hidden @ w[f"{name}_ffn_W2"] + w[f"{name}_ffn_b2"], f"{name}_ffn_ffn")

    memory = w["Wemb"][list(source)] * np.sqrt(dim) + waves(len(source), dim)
    for layer in range(1, settings["enc-depth"] + 1):
        memory = feed_forward(f"encoder_l{layer}", attention(f"encoder_l{layer}_self", memory, memory))
    cells = [np.zeros((1, dim)) for _ in range(settings["dec-depth"])]
    said, last = list[int](), np.zeros((1, dim))
    for step in range(limit):
        x = last * np.sqrt(dim) + waves(limit, dim)[step]
        for layer, cell in enumerate(cells):
            name = f"decoder_l{layer + 1}"
            forget = sigmoid(x @ w[f"{name}_rnn_Wf"] + w[f"{name}_rnn_bf"])
            cells[layer] = forget * cell + (1 - forget) * (x @ w[f"{name}_rnn_W"])
            x = norm(x + np.maximum(cells[layer], 0), f"{name}_rnn_ffn")
            x = feed_forward(name, attention(f"{name}_context", x, memory))
        logits = (x @ w["Wemb"].T + w["decoder_ff_logit_out_b"])[0]
        logits[1] = -np.inf  # the unknown symbol, which neither program says
        if (piece := int(logits.argmax())) == 0:
            break
        said.append(piece)
        last = w["Wemb"][[piece]]
    return said


# ------------------------------------------------------------------------------------------------------- Whisper in CTranslate2


def byte_letters() -> list[str]:
    """The letters that stand for bytes in byte-level BPE."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    letters = {byte: chr(byte) for byte in seen} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}
    return [letters[byte] for byte in range(256)]


def whisper_tokenizer(merges: Sequence[str] = ("t h", "th e", "\u0120 the", "\u0120 a", "a b")) -> dict[str, Any]:
    """A tokenizer.json: 256 bytes, some merges, then special symbols."""
    pieces = [*byte_letters(), *(merge.replace(" ", "") for merge in merges)]
    specials = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "normalizer": None,
        "added_tokens": [{"id": len(pieces) + place, "content": piece, **flags} for place, piece in enumerate(specials)],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "vocab": {piece: place for place, piece in enumerate(pieces)}, "merges": list(merges)},
    }


DIM, HEADS, BINS, POSITIONS, STATES = 8, 2, 4, 24, 50
TIMES = ["<|0.00|>", "<|0.02|>"]


def whisper_arrays(seed: int, symbols: int) -> Arrays:
    draw = np.random.default_rng(seed)
    arrays: Arrays = {}

    def add(name: str, *shape: int) -> None:
        arrays[name] = (draw.normal(size=shape) * 0.5).astype(np.float32)

    def add_linear(name: str, width: int, channels: int) -> None:
        add(f"{name}/weight", width, channels)
        add(f"{name}/bias", width)

    def add_norm(name: str) -> None:
        add(f"{name}/gamma", DIM)
        add(f"{name}/beta", DIM)

    add("encoder/conv1/weight", DIM, BINS, 3)
    add("encoder/conv1/bias", DIM)
    add("encoder/conv2/weight", DIM, DIM, 3)
    add("encoder/conv2/bias", DIM)
    for stack, depth in (("encoder", 2), ("decoder", 1)):
        for layer in range(depth):
            name = f"{stack}/layer_{layer}"
            add_norm(f"{name}/self_attention/layer_norm")
            add_linear(f"{name}/self_attention/linear_0", 3 * DIM, DIM)
            add_linear(f"{name}/self_attention/linear_1", DIM, DIM)
            if stack == "decoder":
                add_norm(f"{name}/attention/layer_norm")
                for place, width in enumerate((DIM, 2 * DIM, DIM)):
                    add_linear(f"{name}/attention/linear_{place}", width, DIM)
            add_norm(f"{name}/ffn/layer_norm")
            add_linear(f"{name}/ffn/linear_0", 12, DIM)
            add_linear(f"{name}/ffn/linear_1", DIM, 12)
        add_norm(f"{stack}/layer_norm")
    arrays["encoder/position_encodings/encodings"] = waves(STATES, DIM).astype(np.float32)
    add("decoder/position_encodings/encodings", POSITIONS, DIM)
    add("decoder/embeddings/weight", symbols, DIM)
    return arrays


FLAGS = {
    "encoder/num_heads": (np.int16, HEADS),
    "decoder/num_heads": (np.int16, HEADS),
    "decoder/pre_norm": (np.int8, 1),
    "decoder/activation": (np.int8, 3),
    "decoder/alibi": (np.int8, 0),
    "decoder/scale_embeddings": (np.int8, 0),
    "decoder/alignment_heads": (np.int16, 1),
}
ALIASES = {"decoder/projection/weight": "decoder/embeddings/weight"}


def write_ctranslate2(
    path: Path,
    arrays: Arrays,
    *,
    version: int = 6,
    spec: str = "WhisperSpec",
    revision: int = 3,
    flags: Mapping[str, Any] = FLAGS,
    aliases: Mapping[str, str] = ALIASES,
) -> None:
    """Write a model.bin of arrays as they are: float32, float16 or int8."""
    codes = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}

    def named(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    whole = {**arrays, **{name: np.array(value, dtype=kind) for name, (kind, value) in flags.items()}}
    parts = [struct.pack("<I", version), named(spec), struct.pack("<II", revision, len(whole))]
    for name, array in whole.items():
        data = array.tobytes()
        parts.append(named(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape))
        parts.append(struct.pack("<BI", codes[str(array.dtype)], len(data)) + data)
    parts.append(struct.pack("<I", len(aliases)) + b"".join(named(one) + named(other) for one, other in aliases.items()))
    path.write_bytes(b"".join(parts))


def write_whisper(folder: Path, seed: int = 1, **changes: Any) -> Arrays:
    """A whole folder; returns the weights. The tokenizer leaves out the times, which vocabulary.txt names."""
    tokenizer = whisper_tokenizer()
    count = len(tokenizer["model"]["vocab"]) + len(tokenizer["added_tokens"])
    arrays = whisper_arrays(seed, count + len(TIMES))
    names = [*tokenizer["model"]["vocab"], *(token["content"] for token in tokenizer["added_tokens"]), *TIMES]
    end = tokenizer["added_tokens"][0]["id"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "vocabulary.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"suppress_ids": [5, 9], "suppress_ids_begin": [220, end]}), encoding="utf-8")
    write_ctranslate2(folder / "model.bin", arrays, **changes)
    return arrays


def gelu(x: Array) -> Array:
    from math import erf

    return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def whisper_logits(w: Arrays, frames: Array, symbols: Sequence[int]) -> Array:
    """(T, V) for symbols in the file's numbers, the start symbol first; frames are (S, C)."""

    def convolved(x: Array, name: str, stride: int) -> Array:
        padded = np.pad(x, ((1, 1), (0, 0)))
        windows = np.stack([padded[place : place + 3] for place in range(0, len(x), stride)])  # (S', 3, C)
        return gelu(np.einsum("skc,dck->sd", windows, w[f"{name}/weight"]) + w[f"{name}/bias"])

    def norm(x: Array, name: str) -> Array:
        return normalized(x, w[f"{name}/gamma"], w[f"{name}/beta"], 1e-5)

    def linear(x: Array, name: str) -> Array:
        return x @ w[f"{name}/weight"].T + w[f"{name}/bias"]

    def attention_and_more(x: Array, name: str, memory: Array | None) -> Array:
        q, k, v = np.split(linear(norm(x, f"{name}/self_attention/layer_norm"), f"{name}/self_attention/linear_0"), 3, axis=-1)
        x = x + linear(attended(q, k, v, HEADS, causal=memory is not None), f"{name}/self_attention/linear_1")
        if memory is not None:
            q = linear(norm(x, f"{name}/attention/layer_norm"), f"{name}/attention/linear_0")
            k, v = np.split(linear(memory, f"{name}/attention/linear_1"), 2, axis=-1)
            x = x + linear(attended(q, k, v, HEADS), f"{name}/attention/linear_2")
        return x + linear(gelu(linear(norm(x, f"{name}/ffn/layer_norm"), f"{name}/ffn/linear_0")), f"{name}/ffn/linear_1")

    w = {name: array.astype(np.float64) for name, array in w.items()}
    x = convolved(convolved(frames, "encoder/conv1", 1), "encoder/conv2", 2)
    x = x + w["encoder/position_encodings/encodings"][: len(x)]
    for layer in range(2):
        x = attention_and_more(x, f"encoder/layer_{layer}", None)
    memory = norm(x, "encoder/layer_norm")
    y = w["decoder/embeddings/weight"][list(symbols)] + w["decoder/position_encodings/encodings"][: len(symbols)]
    y = norm(attention_and_more(y, "decoder/layer_0", memory), "decoder/layer_norm")
    return y @ w["decoder/embeddings/weight"].T
