#!/bin/bash
# tests/secrets.sh [BUILD] - S13: the pair's key, the key of kept versions and a fence device's password stand in no log, journal, status, process
# list or environment, and in no file that others may read. A pair is run through a reload, refused configurations,
# a rehearsal, a slow fence and a takeover; then everything it left is searched. Root only; last line "N passed, N failed".
# SECRETS_SELFTEST=1 puts the password into a log on purpose: that must be found.
set -u
cd "$(dirname "$0")/.." || exit 2
build=${1:-build/gcc}
if [ "$(id -u)" != 0 ]; then
	echo "skipped: root is needed for the live tests"
	echo "0 passed, 0 failed"
	exit 0
fi
passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() {
	echo "FAIL: $*"
	failed=$((failed + 1))
}
work=$(mktemp -d /var/tmp/mailpair-secrets.XXXXXX) || exit 2
trap 'rm -rf "$work"' EXIT

# Both ends compute the password, so that the harness itself never writes it down.
# shellcheck disable=SC2016 # expanded on the hosts
recipe='$(echo fence-password-of-the-live-tests | sha256sum | cut -c1-40)'
password=$(echo fence-password-of-the-live-tests | sha256sum | cut -c1-40)
key=$(sed -n "s/^PAIR_KEY = '\(.*\)'$/\1/p" tests/live/settings.py)
[ -n "$key" ] || { echo "secrets: the key of the live tests is not known" >&2; exit 2; }

on_both() {
	echo "run a $1 expect $2"
	echo "run b $1 expect $2"
}
secrets_scenario() {
	local conf=/etc/mailpair/mailpair.conf keys=/etc/mailpair/authkeys
	echo '# Secrets stay where they are kept'
	printf '%s\n' 'node a' 'node b' 'start a' 'wait a is active within 20s' 'start b' 'wait b is healthy within 10s'
	# what kept versions are sealed with, as mailpair-config makes it where there is none
	on_both "umask 077; [ -e /var/lib/mailpair/config.key ] || head -c 32 /dev/urandom >/var/lib/mailpair/config.key" 0
	on_both "p=$recipe; sed -i \"s,\\\"socket=,\\\"password=\$p\\\"\\, \\\"socket=,\" $conf" 0
	on_both "mailpair reload 2>/var/log/refused-readable" 1
	on_both "chmod 600 $conf; mailpair reload" 0
	on_both "cp -p $keys /root/keys; sed -i 's/sha256/shb256/' $keys; mailpair reload 2>/var/log/refused-method" 1
	on_both "echo \"1 sha256 \$(sed -n 's/^1 [^ ]* //p' /root/keys)\" >>$keys; mailpair check 2>/var/log/refused-check" 1
	on_both "cp -p /root/keys $keys; mailpair reload" 0
	on_both "cp -p $conf /root/conf; sed -i 's/password=/password /' $conf; mailpair --json reload >/var/log/refused-option 2>&1" 1
	on_both "cp -p /root/conf $conf; rm /root/conf /root/keys; mailpair reload" 0
	echo 'run a mailpair fence mx2 --test expect 0'
	echo 'run b mailpair fence mx1 --test expect 0'
	echo 'wait b is healthy within 5s'
	echo 'fence of b answers 1s late'
	# once it was seen all is written down that is to be seen of it
	echo "run a (mailpair fence mx2 >/dev/null; touch /root/asked) & while [ ! -e /root/asked ]; do ps -eo args | grep -q '[f]ence_host' || continue;" \
	    "ps -eo args; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; break; done >/var/log/processes 2>/dev/null; wait expect 0"
	[ -z "${SECRETS_SELFTEST:-}" ] || echo "run a echo the password is $recipe >>/var/log/mailpaird.log expect 0"
	echo 'fence of b works'
	echo 'power cut a'
	echo 'wait b is active within 15s'
	echo "run b mailpair --json history >/var/log/history.json; mailpair --json status >/var/log/status.json; mailpair fence mx1 --json >/var/log/fence.json expect 0"
	echo 'power on a'
	echo 'wait b is healthy within 15s'
	on_both "find /etc/mailpair /var/lib/mailpair /var/log /run /srv/mail -type f -perm /044 -exec grep -alF -e \"$recipe\" -e \"\$(sed -n 's/^1 [^ ]* //p' $keys)\" {} + >/root/readable; cp /root/readable /var/log/readable" 0
}
secrets_scenario >"$work/b90-secrets.scn"

tests/live/run --build "$build" --keep "$work/b90-secrets.scn" >"$work/run" 2>&1
logs=$(sed -n 's/^logs of both hosts: //p' "$work/run")
if [ -z "$logs" ] || [ ! -d "$logs" ]; then
	cat "$work/run"
	bad "the pair could not be run"
	echo "$passed passed, $failed failed"
	exit 1
fi
if grep -q '^passed' "$work/run"; then ok; else cat "$work/run"; bad "the play did not go to its end"; fi

# found_in FILE...: which of these hold one of the keys in $sealing, as bytes, in hexadecimal or in base64
found_in() {
	python3 - "${#sealing[@]}" "${sealing[@]}" "$@" <<-'EOF'
		import base64, sys
		keys, files = sys.argv[2:2 + int(sys.argv[1])], sys.argv[2 + int(sys.argv[1]):]
		forms = []
		for name in keys:
		    key = open(name, 'rb').read()
		    forms += [key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key)[:40]]
		for name in files:
		    text = open(name, 'rb').read()
		    if any(form in text for form in forms):
		        print(name)
	EOF
}

# The searching itself: both secrets are found where they belong, and the agent was seen at work.
sealing=()
for host in mx1 mx2; do
	at=$(find "$logs" -type d -path "*/$host/etc/mailpair")
	if grep -qF "$key" "$at/authkeys"; then ok; else bad "$host: its key is not where it belongs"; fi
	if grep -qF "$password" "$at/mailpair.conf"; then ok; else bad "$host: its fence password is not where it belongs"; fi
	if [ "$(stat -c %a "$at/authkeys")" = 600 ]; then ok; else bad "$host: others may read its authkeys"; fi
	sealed=$(find "$logs" -path "*/$host/var/lib/mailpair/config.key")
	if [ "$(stat -c '%a %s' "$sealed")" = '600 32' ]; then ok; else bad "$host: config.key is no key, or others may read it"; fi
	sealing+=("$sealed")
done
if grep -rqaF fence_host "$logs"/*/mx1/var/log/processes; then ok; else bad "no fence agent was seen in the process list"; fi
for file in refused-readable refused-method refused-check refused-option; do
	if [ -s "$(find "$logs" -path "*/mx1/var/log/$file")" ]; then ok; else bad "$file: the refusal had no words"; fi
done

# Everything else, binary files too: logs, journals, status, history, process lists, timeline, ledgers.
searched=0
while IFS= read -r file; do
	searched=$((searched + 1))
	for secret in key password; do
		if grep -qaF -e "${!secret}" "$file"; then bad "the $secret stands in ${file#"$logs"/}"; else ok; fi
	done
done < <(find "$logs" -type f ! -path '*/etc/mailpair/*')
mapfile -t others < <(find "$logs" -type f ! -name config.key)
if [ "$(found_in "${sealing[@]}" | wc -l)" = 2 ]; then ok; else bad "config.key is not found where it is"; fi
found=$(found_in "${others[@]}")
if [ -z "$found" ]; then ok; else bad "config.key stands in ${found//"$logs"\//}"; fi
if [ "$searched" -ge 20 ]; then ok; else bad "only $searched files were searched"; fi
while IFS= read -r file; do
	if [ -s "$file" ]; then bad "secrets in files that others may read: $(tr '\n' ' ' <"$file")"; else ok; fi
done < <(find "$logs" -path '*/var/log/readable')
if [ "$failed" = 0 ]; then rm -rf "$logs"; else echo "logs of both hosts: $logs"; fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
