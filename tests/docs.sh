#!/bin/sh
# tests/docs.sh FSM-PRINT RULES-PRINT - generated documents equal what the code prints, man pages are clean, and every option of
# mailpair.conf stands in its manual. A test or scenario that a document names is there.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "failed: $*"; }
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
if "$1" >"$out" && cmp -s "$out" docs/fsm.md; then ok; else bad "docs/fsm.md is not what the table says: run 'make docs'"; fi
if "$2" >"$out" && cmp -s "$out" queuesync/RULES.md; then ok; else bad "queuesync/RULES.md is not what the rules say: run 'make docs'"; fi
for page in docs/man/*.[58]; do
	if mandoc -Tlint -W warning "$page" >"$out" 2>&1; then ok; else bad "$page"; cat "$out"; fi
done
# shellcheck disable=SC2013 # options are single words
for option in $(grep -ohE '^[[:space:]]*#?[[:space:]]*[a-z][a-z-]+ = ' etc/mailpair.conf | sed 's/[# \t=]//g' | sort -u); do
	if grep -q "$(echo "$option" | sed 's/-/.\\{0,2\\}-/g')" docs/man/mailpair.conf.5; then ok; else bad "option $option is not in mailpair.conf(5)"; fi
done
# shellcheck disable=SC2013,SC2016 # names are single words, the quotes are Markdown's
for law in $(grep -ohE '`[a-z0-9]+(_[a-z0-9]+){3,}`' docs/*.md | tr -d '`' | sort -u); do
	if grep -rqw "$law" tests/unit tests/sim; then ok; else bad "no test is called $law"; fi
done
# shellcheck disable=SC2013
for scenario in $(grep -oE '\<[abfhqs][0-9][0-9]\>' docs/safety.md docs/testing.md | cut -d: -f2 | sort -u); do
	if ls tests/scenario/"$scenario"-*.scn >/dev/null 2>&1; then ok; else bad "no scenario $scenario"; fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
