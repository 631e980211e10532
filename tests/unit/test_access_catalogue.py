"""Which test holds which part of security.md K: access to pages, the API and outbound calls, items 124 to 132.

A test that is renamed or removed fails here, and so does one whose name does not say the number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

WINDOW, API = "tests/integration/window", "tests/integration/api"
HOSTILE: Final = f"{API}/test_hostile_requests.py"
SESSIONS: Final = f"{WINDOW}/test_window_sessions.py"
ACCOUNTS: Final = f"{WINDOW}/test_window_accounts.py"
PROVIDERS: Final = f"{WINDOW}/test_window_providers.py"
OUTBOUND: Final = "tests/integration/outbound/test_client.py"

Part = tuple[str, str, str]
CATALOGUE: Final[dict[int, tuple[Part, ...]]] = {
    124: (
        ("no token, JWTs with alg none, kid paths", HOSTILE, "k124_no_token_and_what_is_not_a_token_of_ours"),
        ("expired and revoked tokens", HOSTILE, "k124_an_expired_and_a_revoked_token_is_answered_401_at_once"),
        ("a token in the query string", HOSTILE, "k124_a_token_in_the_address_is_refused_even_beside_a_good_one"),
        ("expired and revoked sessions", SESSIONS, "124_only_hashes_are_stored_and_an_expired_or_revoked_session"),
        ("ID tokens: alg none, RS/HS confusion, kid", PROVIDERS, "124_alg_none_a_public_key_as_secret_and_a_strange"),
        ("ID tokens: nonce, audience, issuer, time", PROVIDERS, "124_an_id_token_for_another_sign_in_or_time"),
    ),
    125: (
        ("every page and form by role", f"{WINDOW}/test_window_roles.py", "125_every_page_is_shown_to_every_role"),
        ("the wrong scope", f"{API}/test_every_route.py", "k125_every_route_refuses_every_token_without_its_scope"),
        ("tasks, diffs, artifacts, logs, streams", f"{API}/test_every_route.py", "k125_a_token_of_one_repository"),
        ("who has access, the audit trail, the doctor", f"{WINDOW}/test_window_access.py", "125_who_operates_sees"),
    ),
    126: (
        ("another origin", SESSIONS, "126_a_form_of_another_site_changes_nothing"),
        ("text/plain, JSON, GET, no token", SESSIONS, "126_a_form_needs_the_token_of_its_session"),
        ("the API with a cookie", HOSTILE, "k126_a_cookie_is_never_accepted_and_a_page_of_any_origin_is_refused"),
        ("the API by GET or other bodies", HOSTILE, "k126_nothing_is_changed_by_get"),
        ("a sign-in begun elsewhere", PROVIDERS, "126_a_changed_state_a_second_use_and_another_browser"),
    ),
    127: (
        ("the diff viewer", f"{WINDOW}/test_window_tasks.py", "127_143_nothing_in_a_diff_or_a_name_acts"),
        ("logs and transcripts", f"{WINDOW}/test_window_work.py", "127_143_what_a_program_wrote_is_shown_inert"),
        ("CSP without inline", SESSIONS, "127_every_page_has_headers_that_let_nothing_inline_run"),
    ),
    128: (
        ("private addresses", OUTBOUND, "128_what_is_not_public_is_refused_by_name_and_by_number"),
        ("decimal and octal addresses", OUTBOUND, "128_numbers_in_disguise_are_refused"),
        ("a cloud's metadata", OUTBOUND, "128_a_clouds_metadata_is_refused_even_where_private_is_allowed"),
        ("DNS rebinding", OUTBOUND, "128_what_is_public_is_called_at_the_address_that_was_judged"),
        ("redirects", OUTBOUND, "128_redirects_are_not_followed"),
        ("redirects of an identity provider", PROVIDERS, "128_a_provider_that_redirects_is_not_followed"),
    ),
    129: (
        ("brute force of links", SESSIONS, "129_attempts_to_sign_in_are_limited"),
        ("brute force of passwords", ACCOUNTS, "129_of_many_guesses_at_once_no_more_are_checked"),
        ("brute force of codes", f"{WINDOW}/test_window_authenticator.py", "129_each_code_counts_once"),
        ("user enumeration", ACCOUNTS, "129_a_wrong_password_an_unknown_name_and_a_locked_account"),
        ("user enumeration by timing", ACCOUNTS, "129_an_unknown_name_takes_as_long_as_a_known_one"),
        ("session fixation", SESSIONS, "129_signing_in_makes_a_new_cookie_and_ends_the_session_before"),
        ("a password change ends sessions", ACCOUNTS, "129_another_password_and_no_account_end_the_sessions"),
        ("absolute expiry", f"{WINDOW}/test_window_access.py", "129_a_session_ends_when_it_is_old"),
        ("open redirect", SESSIONS, "129_no_redirect_leads_away"),
        ("open redirect by a provider", PROVIDERS, "129_signing_in_at_a_provider_ends_the_session_before"),
    ),
    130: (
        (
            "..%2f in paths, SVG as an attachment",
            SESSIONS,
            "130_files_are_downloads_whatever_they_are",
        ),
        ("..%2f in paths of the API", HOSTILE, "k130_a_path_in_the_name_of_an_artifact_leads_nowhere"),
        ("CRLF in file names", HOSTILE, "k130_an_artifact_is_a_download_whatever_its_name"),
        ("paths in an imported archive", "tests/integration/core/test_backup_paths.py", "130_a_backup_that_leads_out"),
    ),
    131: (
        ("pages, /status, /metrics, /docs", SESSIONS, "131_without_a_session_every_route_but_the_sign_in"),
        ("the API", HOSTILE, "k131_without_a_token_nothing_is_told_apart_from_nothing"),
    ),
    132: (
        ("streams end with the session", f"{WINDOW}/test_window_tasks.py", "132_news_reach_open_pages_and_end"),
        ("the host header", SESSIONS, "132_another_host_is_refused_before_anything_else"),
        ("the host header of the API", HOSTILE, "k132_the_host_of_a_request_changes_nothing"),
        ("X-Forwarded-For and limits", HOSTILE, "k132_a_quota_is_told_and_kept_whatever_the_headers_say"),
    ),
}


@pytest.mark.parametrize("item", sorted(CATALOGUE))
def test_every_part_of_an_item_has_a_test_that_names_its_number(item):
    for part, file, name in CATALOGUE[item]:
        source = Path(file).read_text(encoding="utf-8")
        assert str(item) in name, f"{item}, {part}: the name of its test does not say the number"
        found = re.search(rf"^(?:async )?def test_{name}\w*\(", source, re.MULTILINE)
        assert found, f"{item}, {part}: no test in {file} is called {name}"


def test_the_catalogue_has_every_item_of_the_part():
    assert sorted(CATALOGUE) == list(range(124, 133))
