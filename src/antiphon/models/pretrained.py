"""An encoder-decoder of the library transformers as one more architecture: all else applies to it unchanged (extra `hf`).

    path    a folder in the published format, or a name on the hub; only what is stored as safetensors, never code

Unusual here: the library's cache is unpacked after every step into plain tensors, (R, H, T, K) for each layer, and packed again before
the next, since that is all that searches know how to re-order. The cross-attention's keys and values are computed once per source,
repeated once for the hypotheses, and not copied again while a source keeps its rows. Logits come from the checkpoint's own forward pass,
so every family's scaling and biases are right without a line about any of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from antiphon.configuration import config
from antiphon.errors import ConfigError
from antiphon.features.published import need_transformers, published_folder
from antiphon.interfaces import Architecture, Spec, StepwiseModel, TokenSpec
from antiphon.sequences import Memory, Output, Padded, map_tensors


@config
class PretrainedConfig:
    """Which checkpoint to start from."""

    name: Literal["pretrained"] = "pretrained"
    """The name of this architecture."""
    path: str | None = None
    """Must be given: a folder with a checkpoint in the published format, or its name on the hub."""
    dropout: float | None = None
    """Dropout instead of the checkpoint's own; None leaves that."""
    description: dict[str, Any] | None = None
    """The checkpoint's own configuration; a run fills it in, so that it can be used without the checkpoint that it came from."""


SaidLayer = tuple[Float[Tensor, "R H T K"], Float[Tensor, "R H T K"]]  # keys and values
SourceLayer = tuple[Float[Tensor, "R H S K"], Float[Tensor, "R H S K"]]


@dataclass(frozen=True)
class PretrainedState:
    """The decoder's cache as tensors: of what was said, and of the source, by layer. `visible` is the source's mask for each row."""

    said: tuple[SaidLayer, ...]
    source: tuple[SourceLayer, ...]
    visible: Bool[Tensor, "R S"]
    beam_size: int

    def select_rows(self, index: Int[Tensor, " N"]) -> "PretrainedState":
        """As `sequences.select_rows`; what belongs to the source stays where it is when every row keeps its source."""
        said = map_tensors(lambda tensor: tensor.index_select(0, index), self.said)
        owners = torch.arange(len(self.visible), device=index.device) // self.beam_size
        if len(index) == len(owners) and torch.equal(owners[index], owners):
            return replace(self, said=said)
        source, visible = map_tensors(lambda tensor: tensor.index_select(0, index), (self.source, self.visible))
        return replace(self, said=said, source=source, visible=visible)


@final
class Pretrained(StepwiseModel):
    """A model of transformers behind our contract. `features` of its outputs are logits already, (B, T, V)."""

    source: TokenSpec
    target: TokenSpec

    def __init__(self, settings: PretrainedConfig, network: Any, source: TokenSpec, target: TokenSpec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        self.network = network
        self.head = nn.Identity()

    def encode(self, source: Padded) -> Memory:
        """The encoder's last states."""
        states = self.network.get_encoder()(input_ids=_filled(source, self.source), attention_mask=source.mask.long()).last_hidden_state
        return Memory(states, source.mask)

    def project(self, memory: Memory) -> Memory:
        """Cross-attention keys and values, by saying the start symbol once and forgetting that it was said."""
        first = memory.mask.new_full((len(memory.mask), 1), self.target.start, dtype=torch.long)
        found = self._call(first, memory.states, memory.mask, _Cache((), ()))
        return replace(memory, projections=_Cache.unpacked(found.past_key_values).source)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All target steps at once."""
        found = self._call(_filled(inputs, self.target), memory.states, memory.mask, attention=attention)
        return Output(found.logits, self.head, found.cross_attentions[-1].mean(dim=1) if attention else None)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> PretrainedState:
        """Nothing said yet; the source's keys and values for every hypothesis."""
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
    """Symbols with the pad symbol behind each row, which some families look at."""
    return padded.values.masked_fill(~padded.mask, spec.pad)


@dataclass(frozen=True)
class _Cache:
    """The library's cache as tensors."""

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
    """The settings with the checkpoint's own configuration. Raises ConfigError for a checkpoint that is no encoder-decoder."""
    if settings.description is not None:
        return settings
    if earlier is not None and earlier.path == settings.path:
        return replace(settings, description=earlier.description)
    if settings.path is None:
        raise ConfigError("`model.path` is missing: name the folder of a published checkpoint, or its name on the hub.")
    need_transformers()
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES as FAMILIES

    folder = published_folder(settings.path)
    try:
        description = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"`model.path`: {settings.path} has no configuration that transformers knows: {str(error).splitlines()[0]}"
        ) from error
    if not description.is_encoder_decoder:
        raise ConfigError(
            f"`model.path` must be an encoder-decoder, but {settings.path} ({description.model_type}) is not: it only continues a text."
        )
    if description.model_type not in FAMILIES:
        raise ConfigError(f"`model.path` must be one of {', '.join(sorted(FAMILIES))}, but {settings.path} is {description.model_type}.")
    return replace(settings, description=_plain(description))


def _plain(description: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(description.to_json_string(use_diff=True))
    return {**plain, "model_type": description.model_type}


def start(model: Pretrained, settings: PretrainedConfig) -> Sequence[str]:
    """Put the published weights in. Raises ConfigError when they are not stored as safetensors, or do not fit."""
    from transformers import AutoModelForSeq2SeqLM

    assert settings.path is not None, "`resolve` has refused that"
    folder = published_folder(settings.path)
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin"))
        remedy = " Convert them where you trust their source: load them with transformers, and `save_pretrained` them." if pickled else ""
        found = "has pickled weights only, which can run any code when they are read" if pickled else "has none"
        raise ConfigError(f"`model.path` must hold weights as safetensors, but {settings.path} {found}.{remedy}")
    loaded, about = AutoModelForSeq2SeqLM.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
    )
    model.network.load_state_dict(loaded.state_dict())
    notes = [f"The weights of {settings.path} ({settings.description['model_type'] if settings.description else '?'}) are taken over."]
    if missing := sorted(about["missing_keys"]):
        notes.append(f"  fresh, since it has none: {', '.join(missing)}")
    return notes


def build(settings: PretrainedConfig, source: Spec, target: Spec) -> Pretrained:
    """Make the network with fresh weights. Raises ConfigError when source or target are no symbols, or do not fit the embeddings."""
    if not isinstance(source, TokenSpec) or not isinstance(target, TokenSpec):
        raise ConfigError("`model.name` must not be `pretrained` when source or target is made of values: it reads and writes symbols.")
    need_transformers()
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    known = resolve(settings)
    assert known.description is not None, "it has just been filled in"
    description = dict(known.description)
    if known.dropout is not None:
        description["dropout_rate" if "dropout_rate" in description else "dropout"] = known.dropout
    network = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(description.pop("model_type"), **description), dtype=torch.float32)
    rows = network.get_output_embeddings().weight.shape[0]
    if target.size != rows:
        raise ConfigError(
            f"The vocabulary must be that of {settings.path} ({rows:,} embeddings), but has {target.size:,} symbols. Set"
            f" `task.vocabulary: {{kind: pretrained, model: {settings.path}}}`."
        )
    return Pretrained(known, network, source, target)


plugin = Architecture(
    name="pretrained",
    summary="A published encoder-decoder (T5, BART, mBART, Marian, Pegasus, M2M-100, NLLB, LED ...), through transformers.",
    Config=PretrainedConfig,
    build=build,
    resolve=resolve,
    start=start,
)
