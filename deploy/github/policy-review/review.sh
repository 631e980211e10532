#!/usr/bin/env bash
# Compares the policy of a pull request with that of its base, and puts the answer into one comment, which later runs edit.
# Fails if the new policy is wrong. Without the right to comment, as for forks, the answer is in the job's summary only.
set -euo pipefail

marker='<!-- countersign policy review -->'
work=$(mktemp -d "${RUNNER_TEMP:-/tmp}/policy-review.XXXXXX")
base=$work/base report=$work/report.md
trap 'git worktree remove --force "$base" 2>/dev/null || true; rm -rf "$work"' EXIT

if [ -n "$PACKAGE" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet "$PACKAGE"
  PATH=$work/venv/bin:$PATH
fi

git cat-file -e "$BASE_SHA^{commit}" 2>/dev/null || git fetch --quiet --depth=1 origin "$BASE_SHA"
git worktree add --quiet --detach "$base" "$BASE_SHA"

# Runs a command, and writes its title and its output as one block of code; returns the command's status.
section() {
  local title=$1 status=0 fence
  shift
  "$@" >"$work/said" 2>&1 || status=$?
  # a fence that is longer than every run of backticks within ends nowhere but here
  fence='```'
  while grep -qF -- "$fence" "$work/said"; do fence="$fence\`"; done
  { echo; echo "**$title**"; echo; echo "${fence}text"; head -c 20000 "$work/said"; echo; echo "$fence"; } >>"$report"
  return "$status"
}

{ echo "$marker"; echo "### What this policy would change"; } >"$report"
failed=0
section "Is it in order?" countersign --home "$HOME_FOLDER" policy check || failed=1
if [ "$failed" = 0 ]; then
  section "Requests to come" countersign --home "$base/$HOME_FOLDER" policy diff --policy "$HOME_FOLDER" || failed=1
  if [ -n "$HISTORY" ]; then
    section "Past tasks since $SINCE" \
      countersign --home "$HISTORY" policy replay --policy "$HOME_FOLDER" --since "$SINCE" || failed=1
  fi
fi

cat "$report" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
comments=repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments
mine=$(gh api --paginate "$comments" --jq "map(select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))))[0].id // empty" | head -n 1) || mine=
if [ -n "$mine" ]; then
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$mine" --field "body=@$report"
else
  gh api --silent --method POST "$comments" --field "body=@$report"
fi || echo "::warning::The review could not be written as a comment; it is in the summary."
exit "$failed"
