"""``limits:`` of countersign.yaml: what it may say, and the file, line and key of what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.configuration.config import load_config
from bot.configuration.limits import check_lanes
from core.model.errors import ConfigError
from core.model.limits import DayUse, Limit, LimitScope

pytestmark = pytest.mark.queue

HEAD = """\
version: 1
repositories: {web: {url: /srv/web.git}}
people:
  ana: {roles: [member]}
  lee: {roles: [maintainer]}
limits:
"""
"""Five lines before ``limits:``, so that the first entry is in line 7."""


def limits_of(folder: Path, entries: str) -> tuple[Limit, ...]:
    config = folder / "countersign.yaml"
    config.write_text(HEAD + "".join(f"  {line}\n" for line in entries.splitlines()))
    return load_config(config).limits


def test_every_scope_and_amount_is_read(tmp_path):
    limits = limits_of(
        tmp_path,
        'each: {person: "*", running: 2, requests_per_hour: 30, queued: 200}\n'
        "reviewers: {team: maintainer, tokens_per_day: 2000000, usd_per_day: 20}\n"
        "docs: {lane: [docs, code], gpu_s_per_day: 0.5}\n"
        "web: {repository: web, running: 1, gpu_s_per_day: 3600}\n",
    )
    assert limits == (
        Limit("each", LimitScope.PERSON, None, 2, 30, 200, ()),
        Limit(
            "reviewers",
            LimitScope.TEAM,
            frozenset({"maintainer"}),
            per_day=((DayUse.TOKENS, 2_000_000.0), (DayUse.USD, 20.0)),
        ),
        Limit("docs", LimitScope.LANE, frozenset({"docs", "code"}), per_day=((DayUse.GPU_S, 0.5),)),
        Limit("web", LimitScope.REPOSITORY, frozenset({"web"}), 1, per_day=((DayUse.GPU_S, 3600.0),)),
    )


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("few: {running: 1}", "few: has not one scope"),
        ("few: {person: ana, lane: docs, running: 1}", "few: has not one scope"),
        ("few: {person: ana}", "few: limits nothing"),
        ("few: {person: [], running: 1}", "few.person: names nothing"),
        ("few: {person: bo, running: 1}", "few.person: there is no person called 'bo'. Known: ana, lee."),
        ("few: {person: [ana, bo], running: 1}", "there is no person called 'bo'"),
        ("few: {person: ['*'], running: 1}", "there is no person called '*'"),
        ("few: {team: kings, running: 1}", "few.team: there is no team called 'kings'"),
        ("few: {repository: api, running: 1}", "few.repository: there is no repository called 'api'. Known: web."),
        ("a/b: {person: ana, running: 1}", "a/b: is not a name"),
        (f"{'x' * 65}: {{person: ana, running: 1}}", "is not a name"),
        ("few: {person: ana, running_: 1}", "few.running_: unknown key. Did you mean 'running'?"),
        ("few: {person: ana, running: 0}", "few.running"),
        ("few: {person: ana, running: -1}", "few.running"),
        ("few: {person: ana, running: true}", "few.running"),
        ("few: {person: ana, running: '2'}", "few.running"),
        ("few: {person: ana, running: 1.5}", "few.running"),
        ("few: {person: ana, requests_per_hour: 100001}", "few.requests_per_hour"),
        ("few: {person: ana, queued: 100001}", "few.queued"),
        ("few: {person: ana, gpu_s_per_day: 0}", "few.gpu_s_per_day"),
        ("few: {person: ana, gpu_s_per_day: -0.1}", "few.gpu_s_per_day"),
        ("few: {person: ana, gpu_s_per_day: .nan}", "few.gpu_s_per_day"),
        ("few: {person: ana, usd_per_day: much}", "few.usd_per_day"),
        ("few: {person: 7, running: 1}", "few.person"),
        ("few: [person, ana]", "few"),
    ],
)
def test_what_a_limit_may_not_say_is_named_with_its_line(tmp_path, entry, part):
    with pytest.raises(ConfigError) as caught:
        limits_of(tmp_path, entry)
    assert str(caught.value).startswith(f"{tmp_path / 'countersign.yaml'}:7: limits."), caught.value
    assert part in f"{caught.value} {caught.value.problem.mend}", caught.value


def test_a_limit_of_a_lane_that_is_not_there_is_named(tmp_path):
    limits = limits_of(tmp_path, "few: {lane: [docs, nope], running: 1}")
    check_lanes(tmp_path, limits, {"docs", "nope"})
    with pytest.raises(ConfigError, match=r"limits\.few\.lane: 'nope' is not a lane"):
        check_lanes(tmp_path, limits, {"docs", "code"})
