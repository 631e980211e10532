"""Lane files: how they are read, and the errors for invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.model.errors import ConfigError
from core.model.lane import Lane, Limits
from lanes.registry import load_lane, load_lanes, starter_lanes

pytestmark = pytest.mark.lanes

SCRIPTED = """\
name: scripted
describe: runs a script of ours
write: ["src/**"]                      # anchored globs
executor: command
command: ["python3", "-c", "open('src/x.txt','w').write('hi')"]
limits: {files: 100, bytes: 1000000, wall_s: 60}
"""


def write(folder: Path, text: str, name: str = "scripted.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def test_the_smallest_lane_of_the_contract(tmp_path):
    path = write(tmp_path, SCRIPTED)
    assert load_lanes(tmp_path) == {
        "scripted": Lane(
            name="scripted",
            describe="runs a script of ours",
            write=("src/**",),
            executor="command",
            command=("python3", "-c", "open('src/x.txt','w').write('hi')"),
            limits=Limits(files=100, bytes=1_000_000, wall_s=60),
            source=str(path),
        )
    }


def test_every_key(tmp_path):
    text = SCRIPTED + (
        "env: {KIND: 'no', PATH: /usr/bin}\nprotect: ['src/keep/**']\nbinaries: true\nexecutables: true\n"
        "odd_names: true\nneeds: [gpu]\nclass: chat\n"
    )
    lane = load_lane(write(tmp_path, text))
    assert lane.environment == (("KIND", "no"), ("PATH", "/usr/bin"))
    assert (lane.protect, lane.needs) == (("src/keep/**",), ("gpu",))
    assert lane.binaries
    assert lane.executables
    assert lane.odd_names
    assert lane.work_class == "chat"


def test_a_class_that_is_none_is_named_with_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"class"):
        load_lane(write(tmp_path, f"{SCRIPTED}class: urgent\n"))


@pytest.mark.parametrize(
    ("old", "new", "key", "line"),
    [
        ("name: scripted", "name: other", "name", 1),
        ("name: scripted", "name: 'Not a Name'", "name", 1),
        ("executor: command", "executor: edit", "command", 5),
        ("executor: command", "executer: command", "executer", 4),
        ('write: ["src/**"] ', "write: [] ", "write", 3),
        ('write: ["src/**"] ', "write: ", "write", 3),
        ('["src/**"]', '["src/"]', "write[0]", 3),
        ('["src/**"]', '["src/**", "!src/x"]', "write[1]", 3),
        ('["src/**"]', '["../x"]', "write[0]", 3),
        ('["src/**"]', "src/**", "write", 3),
        ("files: 100", "files: -1", "limits.files", 6),
        ("files: 100", "files: '100'", "limits.files", 6),
        ("files: 100", "file: 100", "limits.file", 6),
        ("wall_s: 60", "wall_s: 1e9", "limits.wall_s", 6),
        ("command: [", "command: echo #[", "command", 5),
        ("describe: runs a script of ours", "describe: ''", "describe", 2),
        ("executor: command\n", "executor: command\nenv: {LD_PRELOAD: x}\n", "env.LD_PRELOAD", 5),
        ("executor: command\n", "executor: command\nenv: {NUM: 1}\n", "env.NUM", 5),
        ("executor: command\n", "executor: command\nexecutor: edit\n", "executor", 5),
    ],
)
def test_a_wrong_key_is_named_with_its_line(tmp_path, old, new, key, line):
    path = write(tmp_path, SCRIPTED.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_lanes(tmp_path)
    assert (caught.value.path, caught.value.key, caught.value.line) == (str(path), key, line)


def test_a_command_lane_without_a_command(tmp_path):
    write(tmp_path, "\n".join(line for line in SCRIPTED.splitlines() if not line.startswith("command")))
    with pytest.raises(ConfigError, match="needs the key `command`"):
        load_lanes(tmp_path)


def test_other_files_are_left_alone_and_a_wrong_ending_is_not(tmp_path):
    write(tmp_path, SCRIPTED)
    for name in ("README.md", "scripted.yaml~", ".scripted.yaml.swp", ".hidden.yaml"):
        write(tmp_path, "not yaml: [", name)
    assert set(load_lanes(tmp_path)) == {"scripted"}
    write(tmp_path, SCRIPTED, "other.yml")
    with pytest.raises(ConfigError, match=r"end in \.yaml"):
        load_lanes(tmp_path)


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(ConfigError, match="countersign init"):
        load_lanes(tmp_path / "none")


def test_the_starter_lanes(tmp_path):
    for name, text in starter_lanes().items():
        write(tmp_path, text, name)
    lanes = load_lanes(tmp_path)
    assert set(lanes) == {"docs", "config", "code"}
    assert lanes["docs"].write == ("docs/**", "**/*.md")
    assert lanes["config"].write == ("config/**", "*.toml", "*.yaml", "*.yml", "*.json", "*.ini", "*.cfg")
    assert (lanes["docs"].executor, lanes["config"].executor, lanes["code"].executor) == ("edit", "edit", "ollama")
    assert lanes["code"].write == ("**",)
