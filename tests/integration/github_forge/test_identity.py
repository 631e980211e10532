"""Who is who at GitHub: repositories by number, people by number, apps and their short-lived tokens, hosts."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import CountersignError, NotFoundError, PermanentError, UsageError
from core.ports.repository import RepositorySpec
from lanes.forge.github import GitHubAccess
from lanes.forge.github.access import full_name_of
from lanes.forge.github.forge import GitHubForge
from lanes.repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.integration.github_forge.conftest import BRANCH, FILES, NAME, commit, proposal, published, store_of

pytestmark = pytest.mark.surfaces


# -- repositories -----------------------------------------------------------------------------------------------------


async def test_a_pinned_repository_is_followed_through_a_rename(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.rename(NAME, "acme/site")
    assert (await forge.poll(hub_repo, pull)).url == f"{hub.web}/acme/site/pull/1"
    head = await commit(hub_repo, "print(10)\n")
    await forge.push(hub_repo, BRANCH, head, pull.head)
    assert (await forge.open(hub_repo, proposal(head, revision=2))).head == head
    merged = await forge.merge(hub_repo, replace(pull, head=head), "m")
    assert await hub_repo.fetch_base() == merged


async def test_a_pinned_repository_whose_name_somebody_else_took_is_not_fetched_nor_pushed_to(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    hub.rename(NAME, "acme/site")
    impostor = hub.repository(NAME, FILES)
    hub.allow(NAME, "bot")
    head = await commit(hub_repo, "print(10)\n", parent=hub.git("acme/site").ref("refs/heads/main"))
    for asked in (hub_repo.fetch_base(), forge.push(hub_repo, BRANCH, head, pull.head)):
        with pytest.raises(PermanentError) as caught:
            await asked
        assert caught.value.problem.code == "repository_replaced"
    assert list(hub.git(impostor).refs()) == ["refs/heads/main"]
    assert (await forge.poll(hub_repo, pull)).number == 1, "the interface is asked by number"


async def test_an_unpinned_repository_that_moved_is_not_followed(hub, client, tmp_path):
    hub_repo = store_of(hub, client, tmp_path / "unpinned", pinned=False)
    forge = GitHubForge(client)
    pull = await published(forge, hub_repo)
    hub.rename(NAME, "acme/site")
    for asked in (forge.poll(hub_repo, pull), forge.push(hub_repo, BRANCH, pull.head, None), hub_repo.fetch_base()):
        with pytest.raises(CountersignError):
            await asked
    with pytest.raises(PermanentError) as caught:
        await forge.poll(hub_repo, pull)
    assert caught.value.problem.code == "repository_moved"
    assert "acme/site" in caught.value.problem.message


async def test_a_change_that_github_answers_with_a_redirect_is_no_success(hub, client):
    """PyGithub takes a 307 for an answer; the comment would be lost without a word."""
    hub.issue(NAME, "lee", "hello")
    hub.rename(NAME, "acme/site")
    with pytest.raises(PermanentError) as caught:
        await client.call(
            lambda gh: gh.requester.requestJsonAndCheck(
                "POST", f"/repos/{NAME}/issues/1/comments", input={"body": "lost"}
            )
        )
    assert caught.value.problem.code == "repository_moved"


@pytest.mark.parametrize(
    "url",
    [
        *("https://evil.example/acme/web.git", "https://github.com.evil.example/acme/web", "https://github.com/acme"),
        *("git@evil.example:acme/web.git", "https://github.com/acme/web/extra", "/srv/git/web.git", "file:///srv/web"),
        *("https://github.com/acme/..", "https://github.com:8443/acme/web"),
        *("https://[github.com/acme/web", "https://github.com/acme/web?x=1", "https://github.com@evil.example/a/b"),
    ],
)
def test_a_token_is_for_repositories_of_its_own_github_only(url):
    spec = RepositorySpec("web", "github:web", url, "main", "github")
    with pytest.raises(PermanentError) as caught:
        full_name_of(spec, GitHubAccess(token="t"))
    assert caught.value.problem.code == "foreign_host"


@pytest.mark.parametrize(
    ("api", "url"),
    [
        ("https://api.github.com", "https://github.com/acme/web.git"),
        ("https://api.github.com", "https://GitHub.com/acme/web/"),
        ("https://api.github.com", "git@github.com:acme/web.git"),
        ("https://api.github.com", "ssh://git@github.com:22/acme/web.git"),
        ("https://git.example.com/api/v3", "https://git.example.com/acme/web"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com/acme/web"),
    ],
)
def test_an_address_of_every_usual_form_names_its_repository(api, url):
    assert full_name_of(RepositorySpec("w", "i", url, "main", "github"), GitHubAccess(api, token="t")) == "acme/web"


@given(
    st.text(max_size=60)
    | st.builds(
        "{}://{}/{}".format, st.sampled_from(["https", "http", "ssh", "file", "ext", ""]), *[st.text(max_size=30)] * 2
    )
)
def test_whatever_an_address_is_it_is_at_this_github_or_refused(url):
    spec = RepositorySpec("web", "github:web", url, "main", "github")
    name = ""
    with contextlib.suppress(PermanentError):
        name = full_name_of(spec, GitHubAccess(token="t"))
    assert not name or ("github.com" in url.lower() and name.count("/") == 1)


async def test_git_gets_no_token_for_another_host(hub, client, tmp_path):
    with FakeGitHub(tmp_path / "other") as other:
        other.repository(NAME, FILES)
        spec = RepositorySpec("web", "github:web", other.git_url(NAME), "main", "github")
        with pytest.raises(PermanentError):
            await GitRepository(spec, tmp_path / "state", client.credentials).fetch_base()
        assert not other.requests


# -- access -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        *({}, {"token": ""}, {"app_id": 1}, {"app_key": "k"}, {"token": "t", "app_id": 1, "app_key": "k"}),
        *({"token": "t", "app_id": 1}, {"token": "t", "api_url": "http://github.example/api/v3"}),
        *({"token": "t", "api_url": "https://[x"}, {"token": "t", "api_url": "https://github.example:port"}),
        *({"token": "t", "api_url": "https://user:pass@github.example"}, {"token": "t", "api_url": "ftp://x"}),
    ],
)
def test_an_access_names_one_way_in_over_https(given):
    with pytest.raises(UsageError):
        GitHubAccess(**given)


async def test_an_app_acts_through_its_installation(hub, make_client, tmp_path):
    app = hub.app("countersign", "acme")
    client = make_client(GitHubAccess(hub.url, app_id=app.id, app_key=app.private_key))
    hub_repo = store_of(hub, client, tmp_path / "state")
    forge = GitHubForge(client)
    pull = await published(forge, hub_repo)
    assert hub.pull(NAME, 1).login == "countersign[bot]"
    await forge.merge(hub_repo, pull, "m")
    bought = [path for method, path in hub.requests if path.endswith("/access_tokens")]
    assert len(bought) == 1, "one token serves until it is nearly over"
    assert await client.call(lambda gh: gh.get_repo(NAME).full_name) == NAME, "one installation needs no repository"


async def test_f15_a_revoked_token_of_an_app_is_bought_anew_once(hub, make_client, tmp_path):
    app = hub.app("countersign", "acme")
    client = make_client(GitHubAccess(hub.url, app_id=app.id, app_key=app.private_key))
    hub_repo = store_of(hub, client, tmp_path / "state")
    forge = GitHubForge(client)
    head = await commit(hub_repo)

    def revoke():
        for token in hub.tokens.values():
            token.revoked = token.revoked or token.installation is not None

    revoke()
    await forge.push(hub_repo, BRANCH, head, None)
    revoke()
    await hub_repo.fetch_base()
    revoke()
    assert (await forge.open(hub_repo, proposal(head))).head == head
    hub.fail("GET", "/repositories/.*", status=401, times=2)
    with pytest.raises(PermanentError) as caught:
        await client.repository(hub_repo.spec)
    assert caught.value.problem.code == "github_token_refused"
    assert (await client.repository(hub_repo.spec))[1] == NAME


async def test_a_token_that_is_nearly_over_is_not_begun_with(hub, make_client, hub_repo):
    app = hub.app("countersign", "acme")
    hub.token_life_s = 60
    client = make_client(GitHubAccess(hub.url, app_id=app.id, app_key=app.private_key))
    await client.repository(hub_repo.spec)
    await client.repository(hub_repo.spec)
    assert sum(path.endswith("/access_tokens") for _, path in hub.requests) == 2


async def test_an_app_that_is_not_installed_or_has_a_bad_key_is_told(hub, make_client, hub_repo):
    app = hub.app("elsewhere", "other")
    client = make_client(GitHubAccess(hub.url, app_id=app.id, app_key=app.private_key))
    with pytest.raises(PermanentError):
        await client.repository(hub_repo.spec)
    broken = make_client(GitHubAccess(hub.url, app_id=app.id, app_key="-----BEGIN RSA PRIVATE KEY-----\nnot\n"))
    with pytest.raises(PermanentError) as caught:
        await broken.repository(hub_repo.spec)
    assert caught.value.problem.code == "github_app_key"


async def test_an_enterprise_server_is_reached_below_its_prefix(tmp_path, make_client):
    with FakeGitHub(tmp_path / "enterprise", prefix="/api/v3") as hub:
        hub.repository(NAME, FILES)
        hub.allow(NAME, "bot")
        client = make_client(GitHubAccess(hub.url, token=hub.token("bot")))
        hub_repo = store_of(hub, client, tmp_path / "state")
        forge = GitHubForge(client)
        pull = await published(forge, hub_repo)
        assert (await forge.snapshot(hub_repo, pull)).pull_request == pull
        assert await forge.merge(hub_repo, pull, "m") == await hub_repo.fetch_base()
        assert not hub.violations


# -- people -----------------------------------------------------------------------------------------------------------


async def test_people_are_asked_for_by_number_and_what_they_may_do_is_read_live(hub, client, hub_repo):
    lee = hub.user("lee")
    before = await client.permission(hub_repo.spec, lee.id)
    assert (before.login, before.role, before.may_write) == ("lee", "maintain", True)
    hub.rename_user("lee", "leonora")
    hub.allow(NAME, "lee", "admin")
    after = await client.permission(hub_repo.spec, str(lee.id))
    assert (after.id, after.login, after.role) == (lee.id, "leonora", "maintain")
    taken = await client.permission(hub_repo.spec, "lee")
    assert taken.id != lee.id, "who took the old login is somebody else"
    hub.repo(NAME).roles.pop("leonora")
    assert not (await client.permission(hub_repo.spec, lee.id)).may_write


async def test_a_login_that_changes_hands_between_two_requests_is_noticed(hub, client, hub_repo):
    lee = hub.user("lee")

    def swap():
        hub.rename_user("lee", "leonora")
        hub.allow(NAME, "lee", "admin")

    hub.fail("GET", ".*/collaborators/lee/permission", meanwhile=swap)
    with pytest.raises(NotFoundError):
        await client.permission(hub_repo.spec, lee.id)


async def test_bots_readers_and_strangers_may_not_start_anything(hub, client, hub_repo):
    hub.user("ci[bot]", type="Bot")
    hub.allow(NAME, "ci[bot]", "admin")
    hub.user("mallory")
    for login in ("ci[bot]", "eve", "mallory"):
        assert not (await client.permission(hub_repo.spec, login)).may_write
    with pytest.raises(PermanentError):
        await client.permission(hub_repo.spec, "nobody-of-this-name")


async def test_comments_are_made_changed_marked_as_seen_and_taken_back(hub, client, hub_repo):
    hub.issue(NAME, "lee", "hello")
    number = hub.repo(NAME).id
    made = await client.comment(number, 1, "one")
    await client.edit_comment(hub_repo.spec, made, "two")
    for _ in range(2):
        await client.react(hub_repo.spec, made, "eyes")
    repo = hub.repo(NAME)
    assert repo.comments[made].body == "two"
    assert [reaction.content for reaction in repo.reactions.values()] == ["eyes"]
    for _ in range(2):
        await client.delete_comment(number, made)
    assert not repo.comments
    with pytest.raises(PermanentError):
        await client.edit_comment(hub_repo.spec, made, "three")
    with pytest.raises(PermanentError):
        await client.comment(hub_repo.spec, 1, "x" * 65_536)
