"""The commands policy diff, who and can: what a policy would change, and who may do what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bot.cards.safe import one_line, visible
from bot.cli.context import CliContext, json_option, print_json, run
from core.model.errors import UsageError
from core.model.turn import SURFACES

if TYPE_CHECKING:
    from policies.compare import ChangedDecision, PolicyOutcome, PolicyVersion
    from policies.reverse import LanePermission

_MOST_PATHS: Final = 3
_MOST_REASONS: Final = 10

policy_option = click.option(
    "--policy",
    "proposed",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="The proposed policy.yaml, or a folder with a whole configuration.",
)


@click.command()
@policy_option
@json_option
@click.pass_obj
def diff(context: CliContext, proposed: Path, as_json: bool) -> int:
    """Show every kind of request that a proposed policy would decide differently, each with an example."""
    from bot.configuration.policy_versions import proposed_snapshot, version_of
    from policies.compare import changed_decisions
    from policies.witness_search import TooManyCombinationsError

    async def work() -> int:
        async with context.open() as app:
            snapshot, executors = app.settings.snapshot(), app.executors()
        current, changed = (version_of(each, executors) for each in (snapshot, proposed_snapshot(proposed, snapshot)))
        try:
            changes = changed_decisions(current, changed)
        except TooManyCombinationsError as error:
            mend = "Compare with `countersign policy replay`, which asks about past tasks only."
            raise UsageError("too_many_kinds", "the globs of the lanes combine in too many ways", mend) from error
        document = {"changes": [change_document(change) for change in changes]}
        print_json(document) if as_json else _print_changes(document["changes"], current.repositories)
        return 0

    return run(work())


@click.command()
@click.argument("path")
@click.option("--repo", metavar="NAME", help="Only in this repository.")
@json_option
@click.pass_obj
def who(context: CliContext, path: str, repo: str | None, as_json: bool) -> int:
    """Show who may ask for a change of PATH, in which lane, and who must approve it."""
    from core.model.repository_path import PathError, check_path
    from policies.reverse import permissions, refusals

    try:
        check_path(path)
    except PathError as error:
        raise UsageError("bad_path", str(error).rstrip(".")) from error

    async def work() -> int:
        version = await _version(context, repo)
        people = sorted(version.people.by_name)
        found = permissions(version, people, (path,))
        reasons = refusals(version, people, (path,)) if not found else []
        document = {"path": path, "lanes": [permission_document(each) for each in found], "refusals": reasons}
        print_json(document) if as_json else _print_who(document, version)
        return 0

    return run(work())


@click.command()
@click.argument("person")
@click.option("--repo", metavar="NAME", help="Only in this repository.")
@json_option
@click.pass_obj
def can(context: CliContext, person: str, repo: str | None, as_json: bool) -> int:
    """Show what PERSON may ask for, in which lanes, and what they may approve and merge."""
    from policies.reverse import permissions

    async def work() -> int:
        version = await _version(context, repo)
        named = version.people.named(person)
        every = permissions(version, sorted(version.people.by_name))
        document = {
            "person": person,
            "roles": sorted(named.roles),
            "lanes": [
                {**permission_document(each), "write": list(version.lanes[each.lane].write)}
                for each in permissions(version, [person])
            ],
            "approves": sorted({each.lane for each in every if person in each.approvers}),
            "merges": sorted({each.lane for each in every if named.is_one_of(_mergers(each))}),
        }
        print_json(document) if as_json else _print_can(document, version)
        return 0

    return run(work())


def change_document(change: ChangedDecision) -> dict[str, Any]:
    """A changed kind of request as JSON, with its witness."""
    witness = change.witness
    return {
        "people": list(change.people),
        "surfaces": list(change.surfaces),
        "repositories": list(change.repositories),
        "lane": witness.lane,
        "paths": list(witness.paths),
        "known_edits": witness.deterministic,
        "before": outcome_document(change.before),
        "after": outcome_document(change.after),
    }


def outcome_document(outcome: PolicyOutcome) -> dict[str, Any]:
    """What a policy decides, as JSON."""
    return {
        "effect": outcome.effect.value,
        "lane": outcome.lane,
        "rule": outcome.rule or None,
        "reason": outcome.reason,
        "terms": outcome.requirements.to_json() if outcome.requirements else None,
        "approvers": list(outcome.approvers),
        "options": list(outcome.options),
    }


def permission_document(each: LanePermission) -> dict[str, Any]:
    """An open lane as JSON."""
    return {
        "lane": each.lane,
        "rule": each.requirements.rule,
        "people": list(each.requesters),
        "surfaces": list(each.surfaces),
        "repositories": list(each.repositories),
        "approvals": each.requirements.count,
        "approvers": list(each.approvers),
        "self_approve": each.requirements.self_approve,
        "approve_on": list(each.requirements.surfaces),
    }


async def _version(context: CliContext, repository: str | None) -> PolicyVersion:
    """The policy in force, for one repository if it is named; raises `UsageError` if there is none of that name."""
    from bot.configuration.policy_versions import version_of

    async with context.open() as app:
        version = version_of(app.settings.snapshot(), app.executors())
    if repository is None:
        return version
    if repository not in version.repositories:
        mend = f"Known: {', '.join(sorted(version.repositories)) or 'none'}."
        raise UsageError("no_such_repository", f"there is no repository called {one_line(repository, 80)!r}", mend)
    return replace(version, repositories=frozenset({repository}))


def _mergers(each: LanePermission) -> tuple[str, ...]:
    return each.requirements.merge_from or each.requirements.approvers


def _print_changes(changes: Sequence[Mapping[str, Any]], repositories: Collection[str]) -> None:
    """Print changes, those of the same people and outcomes together."""
    if not changes:
        click.echo("Both policies decide every request in the same way.")
        return
    noun = "kind of request is" if len(changes) == 1 else "kinds of requests are"
    click.echo(f"{len(changes)} {noun} decided differently.")
    for (where, asked, before, after), people in _grouped(changes, repositories).items():
        more = f" and {len(asked) - _MOST_PATHS} more" if len(asked) > _MOST_PATHS else ""
        click.echo(f"\n{visible(', '.join(people) + where)}")
        click.echo(f"  asking for  {visible('; '.join(asked[:_MOST_PATHS]))}{more}")
        click.echo(f"  before      {visible(before)}")
        click.echo(f"  after       {visible(after)}")


def _grouped(
    changes: Sequence[Mapping[str, Any]], repositories: Collection[str]
) -> Mapping[tuple[str, tuple[str, ...], str, str], list[str]]:
    """The people of each group of changes: the same places, requests and outcomes."""
    asked: dict[tuple[tuple[str, ...], str, str, str], list[str]] = defaultdict(list)
    for change in changes:
        key = tuple(change["people"]), _where(change, repositories), _said(change["before"]), _said(change["after"])
        asked[key].append(_asked(change))
    people: dict[tuple[str, tuple[str, ...], str, str], list[str]] = defaultdict(list)
    for (names, where, before, after), requests in asked.items():
        people[where, tuple(requests), before, after] += names
    return people


def _where(row: Mapping[str, Any], repositories: Collection[str]) -> str:
    """The surfaces and repositories, unless they are all."""
    parts = []
    if set(row["surfaces"]) != SURFACES:
        parts.append(f"on {', '.join(row['surfaces'])}")
    if set(row["repositories"]) != set(repositories):
        parts.append(f"in {', '.join(row['repositories'])}")
    return f", {' '.join(parts)}" if parts else ""


def _asked(change: Mapping[str, Any]) -> str:
    paths = ", ".join(change["paths"]) or "no named file"
    lane = f" in lane {change['lane']}" if change["lane"] else ""
    return f"{paths}{lane}" if change["lane"] or change["known_edits"] else f"{paths} by a model or command"


def _said(outcome: Mapping[str, Any]) -> str:
    match outcome["effect"]:
        case "allow":
            terms = outcome["terms"]
            return (
                f"allowed in {outcome['lane']} by {outcome['rule']}: {_approvals(terms['count'], outcome['approvers'])}"
            )
        case "ask":
            return f"asks first: {', '.join(outcome['options'])}"
    return f"denied: {outcome['reason']}"


def _approvals(count: int, approvers: Iterable[str]) -> str:
    return f"{count} approval{'s' if count > 1 else ''} of {', '.join(approvers) or 'no one'}"


def _print_who(document: Mapping[str, Any], version: PolicyVersion) -> None:
    path = visible(document["path"])
    if not document["lanes"]:
        click.echo(f"No one may change {path}.")
        for reason in document["refusals"][:_MOST_REASONS]:
            click.echo(f"  {visible(reason)}")
        return
    click.echo(f"{path} may be changed")
    _print_lanes(document["lanes"], version)


def _print_lanes(lanes: Sequence[Mapping[str, Any]], version: PolicyVersion) -> None:
    for row in lanes:
        own = " (their own counts)" if row["self_approve"] else ""
        on = f" on {', '.join(row['approve_on'])}" if row["approve_on"] else ""
        people = f" by {', '.join(row['people'])}" if "write" not in row else f" ({', '.join(row['write'])})"
        click.echo(f"  in {row['lane']}{people}{_where(row, version.repositories)}")
        click.echo(f"    rule {row['rule']}: {_approvals(row['approvals'], row['approvers'])}{on}{own}")


def _print_can(document: Mapping[str, Any], version: PolicyVersion) -> None:
    roles = f" ({', '.join(document['roles'])})" if document["roles"] else ""
    if document["lanes"]:
        click.echo(f"{document['person']}{roles} may ask for changes")
        _print_lanes(document["lanes"], version)
    else:
        click.echo(f"{document['person']}{roles} may ask for no changes.")
    for verb, key in (("approve changes", "approves"), ("merge", "merges")):
        if document[key]:
            click.echo(f"{document['person']} may {verb} in {', '.join(document[key])}.")
