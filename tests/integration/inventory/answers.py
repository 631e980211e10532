"""Answers of real servers, as their documentation and their users have them, and answers of none."""

from __future__ import annotations

from typing import Any

OLLAMA: dict[str, Any] = {
    "/api/version": {"version": "0.12.6"},
    "/api/ps": {
        "models": [
            {
                "name": "hermes3:8b",
                "model": "hermes3:8b",
                "size": 8372905984,
                "digest": "4f6b83f30b62bc3d0cf9be09266db222805ee815c8fd7d8b38f863f655be78b7",
                "details": {
                    "parent_model": "",
                    "format": "gguf",
                    "family": "llama",
                    "families": ["llama"],
                    "parameter_size": "8.0B",
                    "quantization_level": "Q4_0",
                },
                "expires_at": "2026-07-31T00:50:57.706998123+02:00",
                "size_vram": 6372905984,
                "context_length": 16384,
            }
        ]
    },
    "/api/tags": {
        "models": [
            {
                "name": "hermes3:8b",
                "model": "hermes3:8b",
                "modified_at": "2026-07-30T18:00:00.123456789+02:00",
                "size": 4661226402,
                "digest": "4f6b83f30b62bc3d0cf9be09266db222805ee815c8fd7d8b38f863f655be78b7",
                "details": {
                    "parent_model": "",
                    "format": "gguf",
                    "family": "llama",
                    "families": ["llama"],
                    "parameter_size": "8.0B",
                    "quantization_level": "Q4_0",
                },
            }
        ]
    },
    "/api/show": {
        "license": "META LLAMA 3 COMMUNITY LICENSE AGREEMENT\n…",
        "details": {"format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "8.0B"},
        "model_info": {
            "general.architecture": "llama",
            "general.file_type": 2,
            "general.parameter_count": 8030261248,
            "general.quantization_version": 2,
            "llama.attention.head_count": 32,
            "llama.attention.head_count_kv": 8,
            "llama.attention.layer_norm_rms_epsilon": 0.00001,
            "llama.block_count": 32,
            "llama.context_length": 8192,
            "llama.embedding_length": 4096,
            "llama.feed_forward_length": 14336,
            "llama.vocab_size": 128256,
            "tokenizer.ggml.merges": None,
        },
        "capabilities": ["completion"],
    },
}
"""https://github.com/ollama/ollama/blob/main/docs/api.md; the list of what is loaded is a user's."""

LLAMA_SERVER: dict[str, Any] = {
    "/v1/models": {
        "object": "list",
        "data": [
            {
                "id": "qwen3",
                "object": "model",
                "created": 1735142223,
                "owned_by": "llamacpp",
                "meta": {
                    "vocab_type": 2,
                    "n_vocab": 128256,
                    "n_ctx_train": 131072,
                    "n_embd": 4096,
                    "n_params": 8030261312,
                    "size": 4912898304,
                },
            }
        ],
    },
    "/props": {
        "default_generation_settings": {"id": 0, "n_ctx": 1024, "is_processing": False},
        "total_slots": 2,
        "model_path": "../models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
        "build_info": "b6792-a1b2c3d4",
        "is_sleeping": False,
    },
    "/metrics": (
        "# HELP llamacpp:requests_processing Number of requests processing.\n"
        "# TYPE llamacpp:requests_processing gauge\n"
        "llamacpp:requests_processing 1\n"
        "# TYPE llamacpp:requests_deferred gauge\n"
        "llamacpp:requests_deferred 3\n"
    ),
}
"""https://github.com/ggml-org/llama.cpp/tree/master/tools/server with one model and --metrics."""

OLD_LLAMA_SERVER: dict[str, Any] = {
    "/v1/models": LLAMA_SERVER["/v1/models"],
    "/props": {"default_generation_settings": {"n_ctx": 4096}, "total_slots": 2, "model_path": "m.gguf"},
    "/metrics": (501, {"error": {"code": 501, "message": "This server does not support metrics endpoint."}}),
    "/slots": [
        {"id": 0, "id_task": 135, "n_ctx": 4096, "is_processing": True, "params": {"seed": 4294967295}},
        {"id": 1, "id_task": 0, "n_ctx": 4096, "is_processing": False, "params": {}},
    ],
}
"""An older one without --metrics, which cannot sleep."""

ROUTER: dict[str, Any] = {
    "/v1/models": {
        "object": "list",
        "data": [
            {
                "id": "ggml-org/gemma-3-4b-it-GGUF:Q4_K_M",
                "object": "model",
                "owned_by": "llamacpp",
                "created": 1765729854,
                "in_cache": True,
                "path": "/models/gemma-3-4b-it-Q4_K_M.gguf",
                "status": {"value": "loaded", "args": ["llama-server", "-c", "8192", "-np", "2", "--lora", "a.gguf"]},
            },
            {
                "id": "big",
                "object": "model",
                "owned_by": "llamacpp",
                "created": 1765729854,
                "status": {"value": "loading", "args": ["llama-server", "--ctx-size", "4096"]},
            },
            {"id": "idle", "object": "model", "owned_by": "llamacpp", "status": {"value": "sleeping", "args": []}},
            {
                "id": "broken",
                "object": "model",
                "owned_by": "llamacpp",
                "status": {"value": "unloaded", "args": ["llama-server"], "failed": True, "exit_code": 1},
            },
            {"id": "new", "object": "model", "owned_by": "llamacpp", "status": {"value": "downloading"}},
        ],
    },
    "/metrics?model=ggml-org%2Fgemma-3-4b-it-GGUF%3AQ4_K_M&autoload=false": (
        "llamacpp:requests_processing 0\nllamacpp:requests_deferred 0\n"
    ),
}
"""The same program without a model of its own: GET /models, each state of its documentation once."""

VLLM: dict[str, Any] = {
    "/v1/models": {
        "object": "list",
        "data": [
            {
                "id": "Qwen/Qwen3-8B",
                "object": "model",
                "created": 1750000000,
                "owned_by": "vllm",
                "root": "Qwen/Qwen3-8B",
                "parent": None,
                "max_model_len": 40960,
                "permission": [{"id": "modelperm-1", "object": "model_permission", "allow_sampling": True}],
            },
            {
                "id": "sql-lora",
                "object": "model",
                "created": 1750000000,
                "owned_by": "vllm",
                "root": "/adapters/sql",
                "parent": "Qwen/Qwen3-8B",
                "max_model_len": None,
            },
        ],
    },
    "/version": {"version": "0.14.0"},
    "/is_sleeping": {"is_sleeping": False},
    "/metrics": (
        "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
        "# TYPE vllm:num_requests_running gauge\n"
        'vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 2.0\n'
        'vllm:num_requests_running{engine="1",model_name="Qwen/Qwen3-8B"} 1.0\n'
        'vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen3-8B"} 72.0\n'
        'vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 72.0\n'
        'vllm:kv_cache_usage_perc{engine="0",model_name="Qwen/Qwen3-8B"} 0.3412\n'
    ),
}
"""https://docs.vllm.ai/en/stable/usage/metrics/ and its routes, in development mode."""

OPAQUE: dict[str, Any] = {
    "/v1/models": {"object": "list", "data": [{"id": "gpt-x", "object": "model", "created": 1, "owned_by": "somebody"}]}
}

DEEP = b"[" * 100_000
GARBAGE: dict[str, Any] = {
    "a page": "<html>It works!</html>",
    "nothing": b"",
    "half": b'{"models": [',
    "too deep": DEEP,
    "not an object": [1, 2],
    "no list": {"models": {"a": 1}, "data": 7},
    "a list of numbers": {"models": [1], "data": [1]},
    "no name": {"models": [{"size": 1, "digest": "a"}], "data": [{"object": "model"}]},
    "a text as size": {"models": [{"name": "a", "digest": "b", "size": "huge"}], "data": [{"id": 5}]},
    "less than nothing": {"models": [{"name": "a", "digest": "b", "size": -1}], "data": [{"id": ""}]},
    "a long name": {"models": [{"name": "a" * 400, "digest": "b"}], "data": [{"id": "a" * 400}]},
    "a null byte": {"models": [{"name": "a\0", "digest": "b"}], "data": [{"id": "a\0"}]},
    "no time": {"models": [{"name": "a", "digest": "b", "expires_at": "soon"}], "data": None},
    "too many": {"models": [{"name": "a", "digest": "b"}] * 2001, "data": [{"id": "a"}] * 2001},
    "too long": b'{"models": [], "data": [], "x": "' + b"a" * 5_000_000 + b'"}',
}
"""What a server that is none of ours, or a hostile one, may answer to every question."""
