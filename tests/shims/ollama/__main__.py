"""Starts the shim: ``python -m tests.shims.ollama --memory 24GiB --model qwen3:8b=5GiB --model llama3:70b=40GiB``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import re
import signal
from collections.abc import Sequence

from tests.shims.ollama.scheduler import Hardware, ShimModel
from tests.shims.ollama.server import GpuShim, Mode, Reply, words

_UNITS = {"": 1, "MIB": 1024**2, "GIB": 1024**3, "MB": 10**6, "GB": 10**9}


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; the first line on stdout is the address."""
    arguments = parser().parse_args(argv)
    asyncio.run(serve(shim_of(arguments)))


def parser() -> argparse.ArgumentParser:
    """The options of the program."""
    options = argparse.ArgumentParser(prog="tests.shims.ollama", description=__doc__)
    options.add_argument("--port", type=int, default=0, help="listen there on loopback (default: any free port)")
    options.add_argument("--memory", type=size, default="24GiB", help="memory of its GPUs")
    options.add_argument("--ram", type=size, default="64GiB", help="RAM in which files of models stay")
    options.add_argument("--foreign", type=size, default="0", help="GPU memory that other programs have")
    options.add_argument(
        "--model", action="append", required=True, metavar="NAME=SIZE[,load=S][,wake=S][,kv=BYTES]", help="one model"
    )
    options.add_argument("--load-s", type=float, default=5.0, help="a load from disk, unless the model says otherwise")
    options.add_argument("--wake-s", type=float, default=1.0, help="a load from RAM")
    options.add_argument("--kv-bytes", type=int, default=131_072, help="KV cache of a token")
    options.add_argument("--max-models", type=int, default=3, help="OLLAMA_MAX_LOADED_MODELS")
    options.add_argument("--parallel", type=int, default=1, help="OLLAMA_NUM_PARALLEL")
    options.add_argument("--tokens-s", type=float, default=50.0, help="tokens a second of one answer")
    options.add_argument("--prompt-tokens-s", type=float, default=2000.0, help="tokens a second of reading")
    options.add_argument("--answer-tokens", type=int, default=64, help="length of an answer")
    options.add_argument("--reply", metavar="MODULE:FUNCTION", help="what models say: a function of the request")
    options.add_argument("--speed", type=float, default=1.0, help="divides every duration")
    options.add_argument("--mode", choices=[mode.value for mode in Mode], default=Mode.NORMAL.value)
    return options


def shim_of(arguments: argparse.Namespace) -> GpuShim:
    """The shim that the options describe."""
    hardware = Hardware(
        memory_bytes=arguments.memory,
        ram_bytes=arguments.ram,
        foreign_bytes=arguments.foreign,
        max_models=arguments.max_models,
        parallel=arguments.parallel,
    )
    shim = GpuShim(
        dict(model_of(text, arguments) for text in arguments.model),
        hardware,
        reply=reply_of(arguments.reply) if arguments.reply else words(arguments.answer_tokens),
        tokens_s=arguments.tokens_s,
        prompt_tokens_s=arguments.prompt_tokens_s,
        speed=arguments.speed,
        port=arguments.port,
    )
    shim.switch(arguments.mode)
    return shim


def model_of(text: str, arguments: argparse.Namespace) -> tuple[str, ShimModel]:
    """``qwen3:8b=5GiB,load=3`` as a name and a model."""
    name, _, rest = text.partition("=")
    amount, *pairs = rest.split(",")
    given = dict(pair.split("=", 1) for pair in pairs)
    return name, ShimModel(
        size(amount),
        int(given.get("kv", arguments.kv_bytes)),
        float(given.get("load", arguments.load_s)),
        float(given.get("wake", arguments.wake_s)),
    )


def size(text: str) -> int:
    """``24GiB`` in bytes."""
    match = re.fullmatch(r"([0-9.]+)\s*([A-Za-z]*)", text)
    if match is None or match[2].upper() not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 24GiB")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def reply_of(text: str) -> Reply:
    """The function that ``module:function`` names."""
    module, _, function = text.partition(":")
    found: Reply = getattr(importlib.import_module(module), function)
    return found


async def serve(shim: GpuShim) -> None:
    """Run until a signal."""
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    await shim.start()
    print(shim.url, flush=True)
    await stopped.wait()
    violations = shim.expected_violations()
    await shim.stop()
    with contextlib.suppress(BrokenPipeError):  # who started it may be gone
        print(f"violations: {violations}" if violations else "no violations", flush=True)


if __name__ == "__main__":
    main()
