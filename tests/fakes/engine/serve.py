"""Serves a model's file by llama.cpp until standard input ends; run by the Python that has xllamacpp, and by no other.

Prints one line, the address; what llama.cpp logs goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

xllamacpp: Any = importlib.import_module("xllamacpp")


def main(file: str, changes: str) -> None:
    """Serve `file` with `changes`, a JSON object of llama.cpp's own parameters."""
    out = os.dup(1)
    os.dup2(2, 1)
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = file, {Path(file).stem}
    params.n_parallel, params.n_gpu_layers, params.ui = 1, 0, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # several would spin while they wait for a core
    for name, value in json.loads(changes).items():
        setattr(params, name, value)
    server = xllamacpp.Server(params)
    os.write(out, f"{server.listening_address}\n".encode())
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
