"""The app that people make at Slack from our manifest is the one that the code needs, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bot.cards.problem_text import command_prefix
from bot.surfaces.slack.doctor_checks import SCOPES
from bot.surfaces.slack.payloads import SHORTCUT
from tests.fakes.slack import proxy

pytestmark = pytest.mark.surfaces

FILE = Path(__file__).parents[3] / "deploy" / "slack-manifest.yaml"


@pytest.fixture
def manifest():
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_its_scopes_are_those_that_doctor_asks_for(manifest):
    scopes = manifest["oauth_config"]["scopes"]["bot"]
    assert scopes == sorted(SCOPES)
    assert proxy.SCOPES.split(",") == scopes, "the strict counterpart grants just these"


def test_its_command_and_shortcut_are_those_that_are_listened_to(manifest):
    features = manifest["features"]
    assert [command["command"] for command in features["slash_commands"]] == [command_prefix("slack").strip()]
    assert [(short["type"], short["callback_id"]) for short in features["shortcuts"]] == [("message", SHORTCUT)]
    assert features["app_home"]["home_tab_enabled"]
    assert not features["app_home"]["messages_tab_read_only_enabled"]


def test_its_events_are_those_that_are_read_each_with_its_scope(manifest):
    events = manifest["settings"]["event_subscriptions"]["bot_events"]
    needs = {
        "app_home_opened": None,
        "app_mention": "app_mentions:read",
        "message.channels": "channels:history",
        "message.groups": "groups:history",
        "message.im": "im:history",
    }
    assert sorted(events) == sorted(needs)
    assert {scope for scope in needs.values() if scope} <= set(SCOPES)


def test_slacks_limits_for_manifests_hold(manifest):
    assert len(manifest["display_information"]["name"]) <= 35
    assert len(manifest["display_information"]["description"]) <= 140
    assert len(manifest["features"]["shortcuts"][0]["name"]) <= 24


def test_the_comments_that_turn_it_to_http_leave_a_whole_manifest():
    text = FILE.read_text(encoding="utf-8").replace("# url:", "url:").replace("# request_url:", "request_url:")
    manifest = yaml.safe_load(text)
    assert manifest["features"]["slash_commands"][0]["url"].endswith("/slack/commands")
    assert manifest["settings"]["event_subscriptions"]["request_url"].endswith("/slack/events")
    assert manifest["settings"]["interactivity"]["request_url"].endswith("/slack/interactions")
