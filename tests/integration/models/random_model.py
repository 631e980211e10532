"""A language model of random weights, small enough to be made by a test: a real file for a real engine."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

VOCABULARY = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
WIDTH, HEADS, FEED, LAYERS = 64, 4, 128, 2


def write_model(file: Path, gguf: Any) -> None:
    """Write a llama of two layers whose tokens are bytes; `gguf` is the package of that name, which brings numpy."""
    np: Any = importlib.import_module("numpy")
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("random")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(VOCABULARY)
    writer.add_token_scores([0.0] * len(VOCABULARY))
    kinds = gguf.TokenType
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    dice = np.random.default_rng(4711)
    for name, shape in _tensors().items():
        ones = name.endswith("norm.weight")
        weights = np.ones(shape) if ones else dice.normal(0, 0.05, shape)
        writer.add_tensor(name, weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors() -> dict[str, tuple[int, ...]]:
    words = (len(VOCABULARY), WIDTH)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": words, "output.weight": words}
    shapes["output_norm.weight"] = (WIDTH,)
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            shapes[f"blk.{layer}.{name}.weight"] = (WIDTH, WIDTH)
        for name in ("attn_norm", "ffn_norm"):
            shapes[f"blk.{layer}.{name}.weight"] = (WIDTH,)
        for name in ("ffn_gate", "ffn_up"):
            shapes[f"blk.{layer}.{name}.weight"] = (FEED, WIDTH)
        shapes[f"blk.{layer}.ffn_down.weight"] = (WIDTH, FEED)
    return shapes
