#!/usr/bin/env bash
# False alarms over the history of real repositories: every commit's diff through the rules, counted by rule.
#   benches/history.sh BSM COUNT REPOSITORY...
# Prints one line a finding (repository, commit, severity, rule, place, line), so that each can be judged, and
# the sums at the end. Commits of merges are left out.
set -euo pipefail
bsm=$1 count=$2
shift 2
all=$(mktemp)
for repository in "$@"; do
  left=$count
  while [ "$left" -gt 0 ] && read -r commit; do
    # What a partial clone lacks is passed over.
    git -C "$repository" show --format= "$commit" >"$all.diff" 2>"$all.err" || continue
    [ -s "$all.diff" ] || continue
    left=$((left - 1))
    { "$bsm" rules test "$all.diff" --json || true; } | python3 -c '
import json, sys
for f in json.load(sys.stdin)["findings"]:
    print(*sys.argv[1:], f["severity"], f["rule"], "%s:%s" % (f["file"], f["line"]), f["excerpt"] or f["message"], sep="\t")
' "$repository" "${commit:0:12}"
  done < <(git -C "$repository" log --no-merges --format=%H)
done | tee "$all"
echo
cut -f3,4 "$all" | sort | uniq -c | sort -rn
rm -f "$all" "$all.diff" "$all.err"
