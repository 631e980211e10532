"""Reads the file of models that a simulation is given: CSV with a header, or YAML."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Final

from pydantic import Field, PositiveFloat

from core.model.errors import ConfigError, UsageError
from core.simulator.cluster import Model
from core.simulator.model_figures import model_of_size
from core.strict_yaml import StrictModel, Word, load, validate

_FIGURES: Final = ("size_gb", "load_s", "wake_s", "prompt_rate", "output_rate")


class ModelFigures(StrictModel):
    """What the file says of one model. What it leaves out follows from the size."""

    size_gb: float = Field(gt=0, le=10_000)
    load_s: float | None = Field(default=None, ge=0, le=1e6)
    wake_s: float | None = Field(default=None, ge=0, le=1e6)
    prompt_rate: PositiveFloat | None = None
    output_rate: PositiveFloat | None = None

    def model(self, name: str) -> Model:
        """The simulated model."""
        return model_of_size(name, **self.model_dump())


class ModelsFile(StrictModel):
    """The YAML form: `models:` with a mapping from each name to its figures."""

    models: dict[Word, ModelFigures] = Field(min_length=1)


def read_models(path: Path) -> dict[str, Model]:
    """The models by name; raises `UsageError` with the file and line of what is wrong."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return {name: figures.model(name) for name, figures in validate(load(path), ModelsFile).models.items()}
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
        header = set(rows.fieldnames or ())
        lines = [(rows.line_num, row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(path, None, "", f"the file cannot be read: {reason}", "Name a CSV or YAML file.") from None
    if not {"name", "size_gb"} <= header or not header <= {"name", *_FIGURES}:
        raise ConfigError(path, 1, "", "not the columns of a models file", f"Write name,{','.join(_FIGURES)}.")
    models: dict[str, Model] = {}
    for line, row in lines:
        name = (row["name"] or "").strip()
        if not name or name in models:
            what = f"the model {name} is named twice" if name else "a model has no name"
            raise ConfigError(path, line, "", what, "Give each model one line with its name.")
        models[name] = _figures(path, line, row).model(name)
    if not models:
        raise UsageError("no_models", f"{path.name} has no models", "Write at least one line below the header.")
    return models


def _figures(path: Path, line: int, row: dict[str, Any]) -> ModelFigures:
    values: dict[str, float] = {}
    for column in _FIGURES:
        text = (row.get(column) or "").strip()
        try:
            if text:
                values[column] = float(text)
        except ValueError:
            raise ConfigError(path, line, column, f"{text[:40]!r} is not a number", "Write a number.") from None
    if "size_gb" not in values:
        raise ConfigError(path, line, "size_gb", "is missing", "Write the model's size in GB.")
    bad = next((name for name, value in values.items() if not _is_allowed(name, value)), None)
    if bad is not None:
        raise ConfigError(path, line, bad, f"{values[bad]:g} is not possible", "Write a number above 0.")
    return ModelFigures(**values)


def _is_allowed(name: str, value: float) -> bool:
    """Whether the value is finite, and above 0 or, for the time of a load or a wake, at least 0."""
    return 0 <= value <= 1e6 and (value > 0 or name in ("load_s", "wake_s"))
