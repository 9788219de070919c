"""A published encoder-decoder of the library transformers as an architecture of ours, which works with everything else (extra `hf`).

It reads texts, or sound (`pretrained_speech`).

    path       a folder in the published format, or a name on the hub; only what is stored as safetensors, never code
    adapter    learn a few parameters beside the frozen weights (`adapters`); checkpoints then hold these alone

Unusual here: the library's cache is unpacked after every step into plain tensors, (R, H, T, K) for each layer, and packed again before
the next, since that is all that searches know how to re-order. The cross-attention's keys and values are computed once per source,
repeated once for the hypotheses, and not copied again while a source keeps its rows. Logits come from the checkpoint's own forward pass,
so every family's scaling and biases are right without a line about any of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Int
from torch import Tensor, nn

from antiphon.contracts.configuration import Fraction, OwnWord, config
from antiphon.contracts.model import Architecture, StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded, map_tensors
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import AntiphonError, ConfigError
from antiphon.features.published import need_transformers, published_folder
from antiphon.models import pretrained_speech as speech
from antiphon.models.adapters import AdapterConfig, adapt, base_name, follow_base, keep_in_8bit
from antiphon.models.pretrained_positions import check_length, longest_read, longest_said
from antiphon.models.pretrained_search import lost_of, published_generation, search_of
from antiphon.models.pretrained_state import PretrainedState, SaidLayer, SourceLayer
from antiphon.models.pretrained_weights import BaseConfig, identity, published_class, published_weights, same_base
from antiphon.store.json_text import json_text


@config
class PretrainedConfig:
    """Which checkpoint to start from."""

    name: Literal["pretrained"] = "pretrained"
    """The name of this architecture."""
    path: str | None = None
    """Must be given: a folder with a checkpoint in the published format, or its name on the hub."""
    dropout: Fraction | None = None
    """Dropout instead of the checkpoint's own; None keeps that."""
    adapter: AdapterConfig | None = None
    """Train low-rank adapters and keep the checkpoint's weights frozen; None trains all weights."""
    checkpoint_activations: bool = False
    """Recompute layers in the backward pass instead of storing their activations: less memory, more time."""
    trust_remote_code: OwnWord = False
    """Run the code that a checkpoint brings with it. Read it first: it can do whatever you can."""
    description: dict[str, Any] | None = None
    """The checkpoint's own configuration; a run fills it in, so that it can be used without the checkpoint that it came from."""
    generation: dict[str, Any] | None = None
    """The checkpoint's generation config, in transformers' terms: `search` follows it where the recipe does not set anything else. Filled
    in by a run."""
    base: BaseConfig | None = None
    """The weights that an adapter is based on; filled in by a run, to detect changes."""


@final
class Pretrained(StepwiseModel):
    """A model of transformers with our interface. `features` of its outputs are logits already, (B, T, V)."""

    source: TokenSpec | ValueSpec
    target: TokenSpec

    def __init__(self, settings: PretrainedConfig, network: Any, source: TokenSpec | ValueSpec, target: TokenSpec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        self.network = network
        self._most_read, self._most_said = longest_read(network), longest_said(network)
        self.head = nn.Identity()
        if settings.adapter is not None:
            self.stored = adapt(self, settings.adapter, within="network", outputs=network.get_output_embeddings())

    @property
    def stride(self) -> int:
        """Elements of the source for one state of the memory."""
        return speech.STRIDE if isinstance(self.source, ValueSpec) else 1

    @property
    def longest_source(self) -> int | None:
        """The number of positions of the encoder; for audio, also the fixed length of every input."""
        if isinstance(self.source, ValueSpec):
            return speech.STRIDE * int(self.network.config.max_source_positions)
        return self._most_read

    @property
    def longest_target(self) -> int | None:
        """The number of positions of the decoder."""
        return self._most_said

    @property
    def gives_attention(self) -> bool:
        """Always true."""
        return True

    def blocks(self) -> Sequence[nn.Module]:
        """The layers whose activations transformers can recompute, as these are self-contained."""
        from transformers.modeling_layers import GradientCheckpointingLayer

        return [module for module in self.network.modules() if isinstance(module, GradientCheckpointingLayer)]

    def encode(self, source: Padded) -> Memory:
        """The encoder's last states; for audio, including those of the padding with silence. Raises DataError for a recording that is too
        long, ConfigError for a text that is too long."""
        if isinstance(self.source, ValueSpec):
            read = speech.filled_up(source, speech.STRIDE * self.network.config.max_source_positions)
            heard = self.network.get_encoder()(read).last_hidden_state
            return Memory(heard, torch.ones(heard.shape[:2], dtype=torch.bool, device=heard.device))
        check_length("source", source.values.shape[1], self.longest_source)
        states = self.network.get_encoder()(input_ids=_filled(source, self.source), attention_mask=source.mask.long()).last_hidden_state
        return Memory(states, source.mask)

    def project(self, memory: Memory) -> Memory:
        """Cross-attention keys and values, obtained by decoding the start symbol and dropping it from the cache."""
        first = memory.mask.new_full((len(memory.mask), 1), self.target.start, dtype=torch.long)
        found = self._call(first, memory.states, memory.mask, _Cache((), ()))
        return replace(memory, projections=_Cache.unpacked(found.past_key_values).source)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All target steps at once. Raises ConfigError for targets that are longer than the model has positions for."""
        check_length("target", inputs.values.shape[1], self.longest_target)
        found = self._call(_filled(inputs, self.target), memory.states, memory.mask, attention=attention)
        return Output(found.logits, self.head, found.cross_attentions[-1].mean(dim=1) if attention else None)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> PretrainedState:
        """The state before the first step: the source's keys and values for every hypothesis."""
        check_length("target", max_length, self.longest_target)
        projections = self.project(memory).projections if memory.projections is None else memory.projections
        source, visible = map_tensors(lambda tensor: tensor.repeat_interleave(beam_size, 0), (projections, memory.mask))
        nothing = tuple((keys[:, :, :0], values[:, :, :0]) for keys, values in source)
        return PretrainedState(nothing, source, visible, beam_size)

    def step(self, last: Tensor, memory: Memory, state: PretrainedState, *, attention: bool = False) -> tuple[Output, PretrainedState]:
        """One step for R rows."""
        states = memory.states[:1, :1].expand(len(last), state.visible.shape[1], -1)  # only its shape is looked at
        found = self._call(last.unsqueeze(1), states, state.visible, _Cache(state.said, state.source), attention=attention)
        weights = found.cross_attentions[-1][:, :, 0].mean(dim=1) if attention else None
        return Output(found.logits[:, 0], self.head, weights), replace(state, said=_Cache.unpacked(found.past_key_values).said)

    def _call(self, symbols: Tensor, states: Tensor, visible: Tensor, cache: "_Cache | None" = None, *, attention: bool = False) -> Any:
        """The checkpoint's own forward pass."""
        from transformers.modeling_outputs import BaseModelOutput

        before = self.network.config._attn_implementation
        if attention:
            self.network.set_attn_implementation("eager")  # faster ones do not tell their weights
        try:
            return self.network(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),
                attention_mask=visible.long(),
                decoder_input_ids=symbols,
                past_key_values=None if cache is None else cache.packed(),
                use_cache=cache is not None,
                output_attentions=attention,
            )
        finally:
            if attention:
                self.network.set_attn_implementation(before)


def _filled(padded: Padded, spec: TokenSpec) -> Int[Tensor, "B T"]:
    """Symbols with the pad symbol after each row, since some families read them."""
    return padded.values.masked_fill(~padded.mask, spec.pad)


@dataclass(frozen=True)
class _Cache:
    """The library's cache as a tree of tensors."""

    said: tuple[SaidLayer, ...]
    source: tuple[SourceLayer, ...]

    def packed(self) -> Any:
        from transformers.cache_utils import DynamicCache, EncoderDecoderCache

        said = [layer for layer in self.said if layer[0].shape[2]]
        packed = EncoderDecoderCache(DynamicCache(said), DynamicCache(list(self.source)))
        packed.is_updated = dict.fromkeys(range(len(self.source)), True)
        return packed

    @staticmethod
    def unpacked(packed: Any) -> "_Cache":
        both = packed.self_attention_cache, packed.cross_attention_cache
        said, source = (tuple((layer.keys, layer.values) for layer in cache.layers) for cache in both)
        return _Cache(said, source)


def resolve(settings: PretrainedConfig, earlier: PretrainedConfig | None = None) -> PretrainedConfig:
    """The settings with the checkpoint's own configuration, and with the hash of an adapter's base.

    Raises ConfigError for a checkpoint that is no encoder-decoder, or that brings code which the recipe does not trust.
    """
    if settings.description is not None and (settings.adapter is None or settings.base is not None):
        return settings
    if settings.path is None:
        raise ConfigError("`model.path` is missing: name the folder of a published checkpoint, or its name on the hub.")
    if earlier is not None and earlier.path in (settings.path, str(Path(settings.path).absolute())):
        return replace(settings, path=earlier.path, description=earlier.description, generation=earlier.generation, base=earlier.base)
    need_transformers()
    folder = published_folder(settings.path, code=settings.trust_remote_code)
    description = _description(settings, folder) if settings.description is None else settings.description
    path = str(folder.absolute()) if Path(settings.path).is_dir() else settings.path
    generation = published_generation(folder) if settings.generation is None else settings.generation
    base = None if settings.adapter is None else identity(folder)
    return replace(settings, path=path, description=description, generation=generation, base=base)


def _description(settings: PretrainedConfig, folder: Path) -> dict[str, Any]:
    """A checkpoint's own configuration as plain values."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CTC_MAPPING_NAMES as FRAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES as FAMILIES

    code = _code_of(folder)
    if code and not settings.trust_remote_code:
        raise ConfigError(
            f"`model.path`: {settings.path} brings code of its own ({', '.join(code)}), which is run only if the recipe says"
            " `model.trust_remote_code: true`. Read it first."
        )
    try:
        description = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=settings.trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"`model.path`: {settings.path} has no configuration that transformers knows: {str(error).splitlines()[0]}"
        ) from error
    known = (*sorted(FAMILIES), speech.FAMILY)
    if not description.is_encoder_decoder:
        does = "says something of each frame (CTC)" if description.model_type in FRAMES else "only continues a text"
        raise ConfigError(f"`model.path` must be an encoder-decoder, but {settings.path} ({description.model_type}) is not: it {does}.")
    if description.model_type not in known and "AutoModelForSeq2SeqLM" not in code:
        raise ConfigError(f"`model.path` must be one of {', '.join(known)}, but {settings.path} is {description.model_type}.")
    plain: dict[str, Any] = json.loads(description.to_json_string(use_diff=True))
    if description.model_type == speech.FAMILY:
        speech.check_extractor(folder, str(settings.path), plain)
    return {**plain, "model_type": description.model_type}


def _code_of(folder: Path) -> dict[str, str]:
    """The classes that a checkpoint's code defines, by their purpose in transformers."""
    try:
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # what is wrong with it is said when it is read in earnest
    found: dict[str, str] = written.get("auto_map") or {}
    return found


def start(model: Pretrained, settings: PretrainedConfig) -> Sequence[str]:
    """Load the published weights. Raises ConfigError when they are not stored as safetensors, or do not fit."""
    assert settings.path is not None, "`resolve` has refused that"
    if settings.adapter is not None and settings.base is not None:  # the recipe of an earlier run knows of others, perhaps
        folder = same_base(settings.path, settings.base)
    else:
        folder = published_folder(settings.path, code=settings.trust_remote_code)
    missing = _take(model, settings, folder)
    family = settings.description["model_type"] if settings.description else "?"
    notes = [f"The weights of {settings.path} ({family}) are taken over."]
    if missing:
        notes.append(f"  fresh, since it has none: {', '.join(missing)}")
    if settings.generation:
        said = ", ".join(f"{name} {json_text(value)}" for name, value in settings.generation.items())
        notes.append(f"Where the recipe does not say, `search` is what it asks for: {said}.")
        notes += [f"  {sentence}" for sentence in lost_of(settings.generation)]
    if settings.adapter is not None:
        learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        notes.append(
            f"{settings.adapter.kind}: {learned:,} parameters are learned. Checkpoints hold these alone, and need {settings.path} as it is."
        )
    return notes


def borrow(model: Pretrained, settings: PretrainedConfig) -> None:
    """Load the base's weights beside the adapters of a checkpoint. Raises CheckpointError when the base is missing or has changed."""
    if settings.adapter is not None:
        assert settings.path is not None, "`resolve` has refused that"
        assert settings.base is not None, "`resolve` has filled it in"
        _take(model, settings, same_base(settings.path, settings.base))


def _take(model: Pretrained, settings: PretrainedConfig, folder: Path) -> Sequence[str]:
    """Load the weights of a checkpoint; returns the names of those that it does not have."""
    weights, missing = published_weights(
        folder, str(settings.path), model.network.config.model_type, trust_remote_code=settings.trust_remote_code
    )
    own = model.network.state_dict()
    places = {base_name(name): name for name in own}
    if any(name not in places or own[places[name]].shape != tensor.shape for name, tensor in weights.items()):
        raise ConfigError(
            f"`model.description` is not that of {settings.path}, but of another checkpoint: leave it out (`--set model.description=null`)."
        )
    if settings.adapter is None or model.stored is None:
        model.network.load_state_dict(weights)
        return missing
    unknown = [name for name in missing if f"network.{name}" not in model.stored]
    if unknown:
        raise ConfigError(
            f"`model.path` must have all weights that an adapter is based on, but {settings.path} lacks {', '.join(unknown)}."
            " Train these, too: name them in `model.adapter.train`."
        )
    model.network.load_state_dict({places[name]: tensor for name, tensor in weights.items()}, strict=False)
    follow_base(model.network)
    if settings.adapter.base_precision == "8bit":
        keep_in_8bit(model.network, model.stored)
    return missing


def build(settings: PretrainedConfig, source: Spec, target: Spec) -> Pretrained:
    """Make the network with fresh weights. Raises ConfigError when it cannot read the source, or does not fit the target."""
    need_transformers()
    known = resolve(settings) if settings.description is None else settings
    assert known.description is not None, "it has just been filled in"
    speech.check_source(str(settings.path), known.description, source, target)
    assert isinstance(target, TokenSpec), "it has just been checked"
    network = _network(known)
    rows = network.get_output_embeddings().weight.shape[0]
    if target.size != rows:
        raise ConfigError(
            f"The vocabulary must be that of {settings.path} ({rows:,} embeddings), but has {target.size:,} symbols. Set"
            f" `task.vocabulary: {{kind: pretrained, model: {settings.path}}}`."
        )
    if known.checkpoint_activations:
        _checkpoint_activations(network)
    return Pretrained(known, network, source, target)


def _checkpoint_activations(network: Any) -> None:
    """Recompute layers in the backward pass. Raises ConfigError where the family does not support that."""
    try:
        if hasattr(network, "activation_checkpointing_enable"):
            network.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        else:  # its name in older releases of transformers
            network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    except ValueError as error:
        raise ConfigError(f"`model.checkpoint_activations` must be false: {error}") from error
    network.disable_input_require_grads()  # only the other kind of checkpointing needs inputs with gradients


def _network(settings: PretrainedConfig) -> Any:
    """The network that the checkpoint's configuration describes, with fresh weights."""
    from transformers import AutoConfig

    assert settings.description is not None, "it has just been filled in"
    changes = {}
    if settings.dropout is not None:
        changes["dropout_rate" if "dropout_rate" in settings.description else "dropout"] = settings.dropout
    if settings.trust_remote_code:  # what code of its own makes of a configuration, it alone knows
        folder = published_folder(str(settings.path), code=True)
        described = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=True, **changes)
    else:
        plain = {**settings.description, **changes}
        described = AutoConfig.for_model(plain.pop("model_type"), **plain)
    return published_class(described.model_type).from_config(described, trust_remote_code=settings.trust_remote_code, dtype=torch.float32)


def defaults(settings: PretrainedConfig) -> dict[str, Any]:
    """The search that the checkpoint's generation config describes; empty for a run that began without one."""
    generation = settings.generation
    if generation is None and settings.description is None and settings.path is not None:
        try:
            generation = published_generation(published_folder(settings.path, code=settings.trust_remote_code))
        except AntiphonError:  # is told when its weights are needed
            return {}
    search = search_of(generation or {})
    return {"search": search} if search else {}


plugin = Architecture(
    name="pretrained",
    summary="A published encoder-decoder (T5, BART, mBART, Marian, Pegasus, M2M-100, NLLB, LED, Whisper ...), through transformers.",
    Config=PretrainedConfig,
    build=build,
    defaults=defaults,
    resolve=resolve,
    start=start,
    borrow=borrow,
)
