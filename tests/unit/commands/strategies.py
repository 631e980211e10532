"""Every command there is, and every text."""

from __future__ import annotations

from hypothesis import strategies as st

from bot.commands import model as m
from bot.commands.table import COMMANDS

numbers = st.integers(1, 2**31 - 1)
maybe = st.none() | numbers
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).map(str.strip).filter(bool)
tricky = st.sampled_from(
    [
        "-- x",
        "12 x",
        "#12",
        "x --repo web",
        "--repo web",
        "x in repo web",
        '"x"',
        "“x”",
        "—repo web y",
        "/task",
        "approve 12",
    ]
)
texts = words | tricky
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
ids = st.from_regex(r"sch_[a-z0-9]{4,26}", fullmatch=True)
digests = st.none() | st.from_regex(r"[0-9a-f]{12,64}", fullmatch=True)
zones = st.sampled_from(["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
phrases = st.sampled_from(["daily 09:00", "weekday 9:30", "*/15 * * * *", "every 2h"])
selections = st.sampled_from(["", "1,3-5", "docs/a.md", "2,3 not 3", "1, 2", "not 2"])


def _thousandths(n: int) -> float:
    return n / 1000


commands = st.one_of(
    st.builds(m.Ask, texts, st.none() | names, st.none() | names, st.integers(-100, 100)),
    st.builds(m.Reply, maybe, texts),
    st.builds(m.Approve, maybe, digests),
    st.builds(m.Reject, maybe, texts | st.just("")),
    st.builds(m.Diff, maybe, st.none() | texts),
    st.builds(m.Pick, maybe, selections),
    st.builds(m.Progress, maybe, st.none() | st.from_regex(r"[1-9][0-9]{0,3}[mhdw]", fullmatch=True)),
    st.builds(m.Extend, maybe, st.integers(0, 10**12), st.integers(0, 10**6), st.integers(0, 10**9).map(_thousandths)),
    st.builds(m.Hold, texts | st.just("")),
    st.builds(
        m.Hold, texts | st.just(""), st.sampled_from(["lane", "repo", "endpoint"]), st.sampled_from(["docs", "a.b"])
    ),
    st.builds(m.Release, st.sampled_from(["lane", "repo", "endpoint"]), st.sampled_from(["docs", "a.b"])),
    st.builds(m.Move, st.integers(1, 10**6), st.sampled_from(["first", "last"]), reason=texts | st.just("")),
    st.builds(m.Move, st.integers(1, 10**6), st.just("before"), st.integers(1, 10**6), texts | st.just("")),
    st.builds(m.Every, phrases, texts, st.none() | names, st.none() | names, st.none() | zones),
    st.builds(m.Link, st.none() | names),
    st.builds(m.Help, st.none() | st.sampled_from([spec.name for spec in COMMANDS])),
    *(st.builds(kind, maybe) for kind in (m.Show, m.Why, m.Cancel, m.Undo, m.Merge, m.Retry)),
    *(st.builds(kind, ids) for kind in (m.Unschedule, m.PauseSchedule, m.ResumeSchedule)),
    *(st.builds(kind) for kind in (m.Queue, m.Release, m.ListSchedules)),
)

pieces = st.sampled_from(
    ["/", "/task", "/every", "approve", "countersign", "--", "--repo", "—lane", "=", '"', "“", "”", "12", "#12",
     "in repo", "9c1e04ab77d2", " ", "\n", "\u200b", "\u202e", "\ud800", "\0", "@bot",
     "in Europe/Zurich", "--since", "2h", "1,3-5"]
)  # fmt: skip
anything = (
    st.text(max_size=200) | st.lists(pieces, max_size=30).map("".join) | st.lists(pieces, max_size=30).map(" ".join)
)
