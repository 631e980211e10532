"""Two small models for the real engine: one whose weights are thrown with dice, and one whose weights say what we want.

Both are llamas of one layer whose tokens are bytes. In the second the layer adds nothing, so that the next token
depends on the last alone, and a column of the output matrix says what follows it. Its answers are cut into pieces, a
token each. Its chat template ends the prompt with a token for the turn, from which one piece leads to the next.
"""

from __future__ import annotations

import json
import math
import random
from array import array
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.fakes.engine.gguf import Fact, Tensor, write_gguf

CHATML: Final = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"""
"""A chat template that knows no tools."""

TOOLS: Final = """\
{%- if tools -%}
{{- '<|im_start|>system\\nCall a tool as {"name": …, "arguments": {…}} within <tool_call></tool_call>:\\n<tools>' -}}
{%- for tool in tools -%}{{- '\\n' + (tool | tojson) -}}{%- endfor -%}
{{- '\\n</tools><|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' -}}
{%- else -%}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') -}}
{%- for call in message.tool_calls or [] -%}
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' -}}
{{- (call.function.arguments | tojson) + '}\\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"""
"""A chat template with tools, in the way of Hermes and Qwen."""

_TURN: Final = """
{%- set answers = messages | selectattr('role', 'equalto', 'assistant') | list -%}
{%- if add_generation_prompt -%}{{- '<|turn ' + (answers | length | string) + '|>' -}}{%- endif -%}"""

_BYTE: Final = {f"<0x{byte:02X}>": byte for byte in range(256)}
_KINDS: Final = {"<unk>": 2, "<|im_start|>": 3, "<|im_end|>": 3, **dict.fromkeys(_BYTE, 6)}
"""What each of the first tokens is: 2 unknown, 3 control, 6 byte."""
_CONTROL, _DEFINED = 3, 4
_END: Final = "<|im_end|>"
_PIECE_CHARS: Final = 16  # more than any marker of a call has, which must not become a token by itself
_CONTEXT_TOKENS: Final = 131_072
_WIDTH, _HEAD, _FEED = 64, 32, 32


class Endless(str):
    """A text that is said again and again, until someone has enough of it."""

    __slots__ = ()


def calls(name: str, /, **arguments: Any) -> tuple[str, str]:
    """A call of a tool, in the way of `TOOLS`, and as the JSON of a model that knows no tools."""
    call = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{call}\n</tool_call>", json.dumps({"tool": name, "arguments": arguments})


def write_random(file: Path) -> None:
    """Write a model that says anything in ASCII, and does not end unless a grammar says so.

    It likes a quote and a closing bracket, so that JSON comes to an end soon.
    """
    dice = random.Random(4711)  # the same for everybody

    def thrown(columns: int, rows: int) -> Tensor:
        return Tensor(columns, rows, array("f", (dice.gauss(0, 0.05) for _ in range(columns * rows))))

    words = tuple(_KINDS)
    embedding, output = thrown(_WIDTH, len(words)), thrown(_WIDTH, len(words))
    for place, word in enumerate(words):
        byte = _BYTE.get(word, 0)
        embedding.numbers[place * _WIDTH] = 1.0
        output.numbers[place * _WIDTH] = 0.5 if byte in b'"]' else -10.0 if byte > 127 or word == _END else 0.0
    layer = {name: thrown(*shape) for name, shape in _layer(_WIDTH).items()}
    _write(file, CHATML, words, {**layer, "token_embd.weight": embedding, "output.weight": output})


def write_model(file: Path, turns: Sequence[Sequence[str]], template: str = TOOLS) -> None:
    """Write a model that, having answered n times, says the first of ``turns[n]`` that the engine's grammar allows."""
    following = _chains(turns)
    marks = tuple(f"<|turn {n}|>" for n in range(len(turns)))
    words = (*_KINDS, *marks, *(word for word in following if word not in marks))
    place = {word: n for n, word in enumerate(words)}
    width = _WIDTH * (len(following) // _WIDTH + 1)
    embedding, output = Tensor.of(width, len(words)), Tensor.of(width, len(words))
    for n in range(len(words)):
        embedding.numbers[n * width] = 1.0  # all that nothing follows looks the same
    for column, (last, wanted) in enumerate(following.items(), 1):
        embedding.numbers[place[last] * width] = 0.0
        embedding.numbers[place[last] * width + column] = 1.0
        for rank, word in enumerate(wanted):
            output.numbers[place[word] * width + column] = (60.0 - 10.0 * rank) / math.sqrt(width)
    layer = {name: Tensor.of(*shape) for name, shape in _layer(width).items()}
    _write(file, template + _TURN, words, {**layer, "token_embd.weight": embedding, "output.weight": output})


def _chains(turns: Sequence[Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """What follows each turn's mark and each piece, what is liked best first."""
    following: dict[str, list[str]] = {}
    for n, texts in enumerate(turns):
        for text in texts:
            pieces = _cut(text, set(following))
            for last, piece in pairwise((f"<|turn {n}|>", *pieces)):
                following.setdefault(last, []).append(piece)
            following[pieces[-1]] = [pieces[0] if isinstance(text, Endless) else _END]
    return following


def _cut(text: str, taken: set[str]) -> list[str]:
    """The text in pieces that stand nowhere else, so that each knows what follows it."""
    pieces: list[str] = []
    while text:
        size = _PIECE_CHARS if len(text) > 2 * _PIECE_CHARS else len(text)
        while text[:size] in taken and size < len(text):
            size += 1
        assert text[:size] not in taken, f"the end {text!r} is another text's too"
        pieces.append(text[:size])
        taken.add(text[:size])
        text = text[size:]
    return pieces


def _layer(width: int) -> dict[str, tuple[int, int]]:
    """The columns and rows of the layer's matrices."""
    shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v"), (width, _HEAD))
    shapes |= {"attn_output": (_HEAD, width), "ffn_gate": (width, _FEED), "ffn_up": (width, _FEED)}
    return {f"blk.0.{name}.weight": shape for name, shape in {**shapes, "ffn_down": (_FEED, width)}.items()}


def _write(file: Path, template: str, words: Sequence[str], tensors: dict[str, Tensor]) -> None:
    width = tensors["token_embd.weight"].columns
    norms = {
        f"{name}.weight": Tensor.of(width, number=1.0) for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")
    }
    facts: dict[str, Fact] = {
        "general.architecture": "llama",
        "general.name": file.stem,
        "llama.context_length": _CONTEXT_TOKENS,
        "llama.embedding_length": width,
        "llama.block_count": 1,
        "llama.feed_forward_length": _FEED,
        "llama.attention.head_count": 1,
        "llama.attention.key_length": _HEAD,
        "llama.attention.value_length": _HEAD,
        "llama.rope.dimension_count": _HEAD,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.scores": [0.0] * len(words),
        "tokenizer.ggml.token_type": [
            _KINDS.get(word, _CONTROL if word.startswith("<|turn") else _DEFINED) for word in words
        ],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.chat_template": template,
    }
    write_gguf(file, facts, {**tensors, **{name: Tensor.of(width, number=1.0) for name in norms}})
