"""The same size of Transformer in transformers: Marian (post-norm, otherwise alike)."""

from transformers import MarianConfig, MarianMTModel


def marian(symbols: int, pad: int, start: int, end: int) -> MarianMTModel:
    """A model with random weights."""
    return MarianMTModel(
        MarianConfig(
            vocab_size=symbols,
            decoder_vocab_size=symbols,
            d_model=256,
            encoder_layers=3,
            decoder_layers=3,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=1024,
            decoder_ffn_dim=1024,
            activation_function="relu",
            dropout=0.1,
            attention_dropout=0.0,
            scale_embedding=True,
            share_encoder_decoder_embeddings=True,
            max_position_embeddings=512,
            pad_token_id=pad,
            bos_token_id=start,
            eos_token_id=end,
            decoder_start_token_id=start,
            forced_eos_token_id=None,
        )
    )
