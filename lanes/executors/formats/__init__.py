"""Sets one key in a structured file and preserves every other byte."""

from __future__ import annotations

from core.model.edits import SetKey
from lanes.executors.errors import EditError
from lanes.executors.formats import env_file, ini_file, json_file, toml_file, yaml_file

MAX_STRUCTURED_BYTES = 2_000_000
MAX_SLOW_BYTES = 256_000  # the YAML and TOML parsers that preserve layout read about 0.2 MB/s
_BOM = "\ufeff"
_BY_ENDING = {
    ".yaml": yaml_file.set_key,
    ".yml": yaml_file.set_key,
    ".toml": toml_file.set_key,
    ".json": json_file.set_key,
    ".jsonc": json_file.set_key,
    ".json5": None,
    ".ini": ini_file.set_key,
    ".cfg": ini_file.set_key,
    ".editorconfig": ini_file.set_key,
    ".env": env_file.set_key,
}


def set_key(edit: SetKey, content: bytes) -> bytes:
    """The file's content with one key set and every other line unchanged; EditError when that is not possible."""
    name = edit.path.rsplit("/", 1)[-1].lower()
    ending = ".env" if name.startswith(".env.") else name[name.rfind(".") :] if "." in name else ""
    writer = _BY_ENDING.get(ending)
    if writer is None:
        raise EditError(
            "unsupported_format",
            f"{edit.path} is not a YAML, TOML, JSON, INI or .env file, so no key can be set in it",
            f'Say: replace "old text" with "new text" in {edit.path}.',
        )
    text = decoded(edit.path, content)
    mark, body = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    try:
        return (mark + writer(body, edit)).encode()
    except RecursionError:
        raise EditError("unparsable_file", f"{edit.path} is nested too deeply") from None
    except UnicodeEncodeError:
        raise EditError(
            "bad_value", f"The value for {edit.key} has characters that cannot be stored in a file"
        ) from None


def decoded(path: str, content: bytes) -> str:
    """A structured file as text, byte-order mark included; EditError when it is too large or not UTF-8."""
    limit = MAX_SLOW_BYTES if path.lower().endswith((".yaml", ".yml", ".toml")) else MAX_STRUCTURED_BYTES
    if len(content) > limit:
        raise EditError(
            "too_large",
            f"{path} has {len(content)} bytes; at most {limit} are supported for its format",
            f'Say: replace "old text" with "new text" in {path}.',
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EditError("unparsable_file", f"{path}:{line} is not UTF-8 text", "Save it as UTF-8 first.") from None
