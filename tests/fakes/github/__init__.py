"""An honest GitHub for tests: REST and git over HTTP on real bare repositories, webhooks, people, faults.

    from tests.fakes.github import FakeGitHub

    with FakeGitHub() as hub:                       # FakeGitHub(prefix="/api/v3") is an Enterprise server
        repo = hub.repository("acme/web", {"README.md": "# Hello\\n"})
        hub.allow("acme/web", "ana")                # ana may write; a stranger may nothing
        token = hub.token("ana")                    # for the API (hub.url) and for git (hub.git_url("acme/web"))
        ...                                         # the program under test pushes a branch and opens #1
        hub.comment("acme/web", 1, "lee", "/approve")
        hub.review("acme/web", 1, "lee", "CHANGES_REQUESTED")
        hub.review_comment("acme/web", 1, "lee", "README.md", 1, "why?")
        hub.set_check("acme/web", hub.pull("acme/web", 1).sha, "tests", 15368, "success")
        hub.push("acme/web", "some-branch", {"a.txt": "1\\n", "old.txt": None}, "bo")
        hub.merge_by_hand("acme/web", 1, "lee")
        hub.hooks.to("http://127.0.0.1:1234/github", "secret")   # from now on webhooks are really sent, signed
        hub.fail("POST", "/repos/.*/pulls", status=502, after=True)  # happens, but the answer is lost
        hub.fail("PUT", ".*/merge", status=403, message="You have exceeded a secondary rate limit",
                 headers={"Retry-After": "60"})
        assert not hub.violations                   # neither of us said what GitHub's description forbids

`tests.fakes.github.fixtures` has it as a pytest fixture, `github`, whose teardown fails on violations. An app:
`app = hub.app("countersign", "acme")`, then `app.id` and `app.private_key`. `hub.hooks.sent` holds every event as
it was or would have been sent, and `hub.hooks.settle()` waits until all were delivered. `hub.git("acme/web")` reads
and writes the repository past every rule; `main` itself refuses to be pushed to.
"""

from tests.fakes.github.server import FakeGitHub

__all__ = ["FakeGitHub"]
