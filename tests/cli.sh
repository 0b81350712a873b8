#!/bin/bash
# tests/cli.sh MAILPAIR - usage, exit status and output of the command line, without a real mailpaird.
# A stand-in for the daemon (socat, where it is installed) answers what the test wants.
set -u
mailpair=${1:?usage: tests/cli.sh PATH-OF-mailpair}
[ -x "$mailpair" ] || { echo "tests/cli.sh: $mailpair is not there"; exit 1; }
work=$(mktemp -d) || exit 1
socket=$work/control.sock
passed=0 failed=0 daemon='' desk=''

cleanup() {
	for pid in $daemon $desk; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap cleanup EXIT

ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL: $1"; sed 's/^/    out: /' "$work/out"; sed 's/^/    err: /' "$work/err"; }

# expect NAME EXIT OUT-PATTERN ERR-PATTERN ARGUMENTS... : "-" wants nothing there, "" does not care
expect() {
	local name=$1 code=$2 out=$3 err=$4 got
	shift 4
	timeout 20 "$mailpair" "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	if [ "$got" != "$code" ]; then
		bad "$name: exit $got, not $code: mailpair $*"
	elif [ "$out" = - ] && [ -s "$work/out" ]; then
		bad "$name: something on standard output"
	elif [ "$err" = - ] && [ -s "$work/err" ]; then
		bad "$name: something on standard error"
	elif [ "$out" != - ] && ! grep -q -e "$out" "$work/out" && [ -n "$out" ]; then
		bad "$name: standard output lacks \"$out\""
	elif [ "$err" != - ] && ! grep -q -e "$err" "$work/err" && [ -n "$err" ]; then
		bad "$name: standard error lacks \"$err\""
	else
		ok
	fi
}

# ------------------------------------------------------------ without a daemon
expect "no command is wrong usage" 2 - "command is missing"
expect "help is an answer" 0 "switchover" - --help
expect "help by word" 0 "switchover" - help
expect "short help" 0 "switchover" - -h
expect "help says what is not there" 0 "Not in this version:.*report" - --help
expect "an unknown command" 2 - "no command \"frobnicate\"" frobnicate
expect "an unknown option" 2 - "no option \"--frob\"" status --frob
expect "an option without its value" 2 - "needs NODE" switchover --to
expect "an option with a needless value" 2 - "takes no value" status --json=1
expect "too many arguments" 2 - "too many" status now
expect "a missing argument" 2 - "needs an argument" confirm-dead
expect "a wrong state" 2 - "on or off" maintenance maybe
expect "a wrong duration" 2 - "no duration" maintenance on --for soon
expect "a duration where none belongs" 2 - "belongs to" maintenance off --for 1h
expect "a wrong timeout" 2 - "no duration" switchover --timeout=forever
expect "a wrong word" 2 - "cannot \"explode\"" services explode
expect "cluster has no restart" 2 - "cannot \"restart\"" cluster restart
expect "two fence actions" 2 - "Only one" fence mx1 --off --on
expect "a wrong number" 2 - "no number" history -n many
expect "no transitions wanted" 2 - "no number" history -n 0
expect "top needs a terminal" 2 - "terminal" top
expect "no daemon: what to do" 2 - "systemctl start mailpair" --socket "$socket" status
expect "no daemon, as JSON" 2 '"healthy": false' "does not run" --socket "$socket" status --json
expect "no daemon, switchover" 2 - "does not run" switchover --socket="$socket"
expect "no daemon, switchover as JSON" 2 '"result": "cannot"' "does not run" switchover --json --socket="$socket"
expect "no daemon: may not start" 2 - "must not be started by hand" services may-start --socket "$socket"
expect "a socket path that is too long" 2 - "cannot be as long" status --socket "/$(printf 'x%.0s' {1..200})"
expect "an unreadable configuration" 2 - "cannot be" status --conf "$work/none.conf"
expect "check without a file" 2 - "cannot be read" check --conf "$work/none.conf"
expect "history without a journal" 2 - "cannot be read" history --journal "$work/none.db"
expect "an export has one form" 2 - "form of its own" history --export --json
expect "whatif wants an event" 2 - "needs an argument" whatif
expect "replay wants a file" 2 - "needs an argument" replay
expect "replay without its file" 2 - "cannot be read" replay "$work/none.incident"
expect "no daemon: why" 2 - "systemctl start mailpair" --socket "$socket" why
expect "no daemon: whatif" 2 - "systemctl start mailpair" --socket "$socket" whatif "peer silent"
printf 'mailpair-incident 1\nstate\tT\t7\tproof\tstandby\tacquiring\tit was so\n' >"$work/same"
expect "an incident that is decided the same" 0 "decide 0 of them otherwise" - replay "$work/same"
expect "the same as JSON" 0 '"now": "same"' - replay --json "$work/same"
printf 'mailpair-incident 1\nstate\tT\t7\tpeer-silent\tstandby\tacquiring\ttook it\n' >"$work/other"
expect "an incident that is decided otherwise" 1 "OTHERWISE NOW.*-> standby" - replay "$work/other"
printf 'mailpair-incident 1\nstate\tT\t7\tmoonrise\tstandby\tacquiring\ttook it\n' >"$work/other"
expect "an incident with an event of another version" 1 'knows no "moonrise"' - replay "$work/other"
printf 'mailpair-incident 1\nstate\tT\t7\n' >"$work/broken"
expect "an incident that is cut" 2 - "line 2 is wrong" replay "$work/broken"
echo '{}' >"$work/broken"
expect "a file that is no incident" 2 - "history --export" replay "$work/broken"
expect "no name typed: refused" 3 - "confirm-dead mx1 --yes mx1" confirm-dead mx1 --socket "$socket"
expect "another name given: refused" 3 - "Nothing was done" confirm-dead mx1 --yes mx2 --socket "$socket"
expect "the version" 0 "^mailpair [0-9]" - version
expect "the version as an option" 0 "^mailpair [0-9]" - --version
expect "the version as JSON" 0 '"version": "[0-9]' - --json version
for command in connector doctor import drbd report; do
	expect "$command is not there yet" 2 - "not in this version" "$command" --some thing
done
for command in status top switchover standby online maintenance confirm-dead fence services cluster history \
    why whatif replay reload check keygen version; do
	expect "$command explains itself" 0 "Usage: mailpair \[OPTIONS\] $command" - "$command" --help
done

# ------------------------------------------------------------ queues
mkdir "$work/tree"
expect "queue runs its own program" 0 "mailpair-queue check \[OPTIONS\]" - queue --help
expect "options in front of queue are its, too" 0 "mailpair-queue check" - --help queue
expect "a queue command is missing" 2 - "check, list or restore" queue
expect "an unknown queue command" 2 - "no command \"explode\"" queue explode
expect "too much for queue" 2 - "\"more\" is too many" queue check more
expect "an unknown queue option" 2 - "frob" queue check --frob
expect "a wrong throttle" 2 - "from 1 to 1000000" queue check --throttle many
expect "no throttle at all" 2 - "from 1 to 1000000" queue check --throttle 0
expect "a wrong time limit" 2 - "30s or 5min" queue check --timeout soon
expect "an unknown mail program" 2 - "right are:.*postfix" queue check --mta sendmail
expect "a tree that is no queue" 2 - "does not look like a mail queue.*--mta" queue check --queue "$work/tree"
expect "a tree that is not there" 2 - "cannot be looked into" queue check --queue "$work/none"
expect "the same as JSON" 2 '"result": "cannot"' "cannot be looked into" --json queue check --queue "$work/none"
expect "whose queue is not known" 2 - "whose queue?.*none.conf" queue check --conf "$work/none.conf"
echo "user postfix many" >"$work/owners"
expect "wrong accounts" 2 - "owners:1: .*number" queue check --queue "$work/tree" --owners "$work/owners"

# ------------------------------------------------------------ configuration
expect "config runs its own program" 0 "mailpair-config COMMAND" - config --help
expect "a config command is missing" 2 - "status, log, show" config
expect "an unknown config command" 2 - "no command \"explode\"" config explode
expect "too much for config" 2 - "\"more\" is too many; right is: mailpair-config status" config status more
expect "too little for config" 2 - "show needs more" config show
expect "a wrong number of versions" 2 - "from 1 to 1000000" config log -n many
expect "whose version counts" 2 - "whose version counts" config resolve /etc/x
expect "a path that is none" 2 - "no path from the root" config resolve --take mx1 /etc/../x
expect "which node counts" 2 '"result": "cannot"' "which node has what counts" config --json resync
expect "what is to be taken back" 2 - "neither a set" config rollback yesterday
expect "a version is one state" 2 - "needs a set" config rollback 12 --back-to
expect "config without its program running" 2 - "nobody answers at $work/config.sock.*section config-sync" config status --socket "$work/config.sock"
expect "the same as JSON" 2 '"result": "cannot"' "nobody answers" --json config status --socket "$work/config.sock"
expect "config with a wrong configuration" 2 - "none.conf: the configuration cannot be read" config log --conf "$work/none.conf"
expect "config without a journal" 2 - "none.db" config log --journal "$work/none.db"

versions=$(dirname "$mailpair")/tools/put_versions
journal=$work/versions.db
one=11111111111111111111111111111111 two=22222222222222222222222222222222 three=33333333333333333333333333333333
four=44444444444444444444444444444444
printf 'a = 1\nb = 2\n' >"$work/v1"
printf 'a = 1\nb = 3\n' >"$work/v2"
printf 'x\0y' >"$work/v3"
printf 'a = 1\nb = 4\n' >"$work/v4"
if "$versions" "$journal" <<EOF
set $one 1000000000000 0 mx1 - found
file etc/x/main.cf 0644 $work/v1
file etc/x/key 0600 $work/v3
set $two 1000000100000 1 mx1 root edited-it
file etc/x/main.cf 0640 $work/v2
link etc/x/link main.cf
file etc/hosts@1 0644 $work/v1
set $three 1000000200000 2 mx2 anna removed-it
gone etc/x/key
EOF
then ok; else bad "versions can be put"; fi
with=(--journal "$journal")
expect "log: sets with their versions, newest first" 0 "^set $three  2001-09-09T01:50:00Z  applied on mx2 by anna, tenure 7: removed-it$" - config log "${with[@]}"
if [ "$(sed -n 2p "$work/out")" = "       6  /etc/x/key  removed  [both nodes]" ] && [ "$(wc -l <"$work/out")" = 9 ] &&
    [ "$(sed -n 6p "$work/out")" = "       3  /etc/x/main.cf  12 bytes, 0640 root:root  [both nodes]" ]; then ok; else bad "log has the versions"; fi
expect "log of a path" 0 " 3  /etc/x/main.cf" - config log /etc/x/main.cf "${with[@]}"
if grep -q key "$work/out"; then bad "log of a path has others"; else ok; fi
expect "log of a set" 0 "/etc/x/link  -> main.cf" - config log $two "${with[@]}"
expect "log has an end" 0 " 6 " - config log -n 1 "${with[@]}"
if [ "$(wc -l <"$work/out")" = 2 ]; then ok; else bad "log -n 1 has one version"; fi
expect "log of what is not there" 1 - "no version of it is kept: /etc/none" config log /etc/none "${with[@]}"
expect "log as JSON" 0 '"version": 3, "path": "/etc/x/main.cf", "set": "2*", "at": "2001-09-09T01:48:20.000Z", "node": "mx1", "who": "root", "cause": "edited"' - \
    --json config log "${with[@]}"
expect "show: the newest" 0 "^b = 3$" - config show /etc/x/main.cf "${with[@]}"
expect "show: the one before" 0 "^b = 2$" - config show etc/x/main.cf@1 "${with[@]}"
expect "show: by its number" 0 "^b = 2$" - config show 1 "${with[@]}"
if "$mailpair" config show 2 "${with[@]}" | cmp -s - "$work/v3"; then ok; else bad "show gives bytes as they are"; fi
expect "show: a name that looks like a count" 0 "^b = 2$" - config show /etc/hosts@1 "${with[@]}"
expect "show: a link" 0 "^main.cf$" - config show /etc/x/link "${with[@]}"
expect "show: removed" 1 - "version 6 of /etc/x/key: it was removed" config show /etc/x/key "${with[@]}"
expect "show: not so many" 1 - "/etc/x/main.cf: there are not so many" config show /etc/x/main.cf@7 "${with[@]}"
expect "show: never there" 1 - "/etc/none: no version" config show /etc/none "${with[@]}"
expect "show: no such number" 1 - "no version 99" config show 99 "${with[@]}"
expect "show as JSON" 0 '"mode": "0640"' - --json config show /etc/x/main.cf "${with[@]}"
expect "diff: the newest against the one before" 0 "^-b = 2$" - config diff /etc/x/main.cf "${with[@]}"
if grep -q '^+b = 3$' "$work/out" && grep -q '^/etc/x/main.cf: content, 12 -> 12 bytes, mode 0644 -> 0640$' "$work/out" &&
    grep -q '^--- /etc/x/main.cf version 1$' "$work/out"; then ok; else bad "diff has both sides and their names"; fi
expect "diff: two versions" 0 "^+b = 2$" - config diff 3 1 "${with[@]}"
expect "diff: a set, also what is new" 0 "^/etc/x/link: symbolic link to main.cf" - config diff $two "${with[@]}"
if grep -q '^+a = 1$' "$work/out"; then ok; else bad "diff shows all lines of what is new"; fi
expect "diff: the newest set" 0 "^/etc/x/key: removed$" - config diff "${with[@]}"
if grep -q '^binary' "$work/out"; then ok; else bad "diff says what is binary"; fi
expect "diff as JSON" 0 '"differs": "removed", "binary": true, "diff": null' - --json config diff "${with[@]}"
expect "diff of text as JSON" 0 '"binary": false, "diff": "--- .*\\n-b = 2\\n+b = 3\\n"' - --json config diff 1 3 "${with[@]}"
expect "diff of what is not there" 1 - "/etc/none: no version" config diff /etc/none "${with[@]}"
printf 'set %s 1000000300000 5 mx1 - both\ndispute etc/x/main.cf %s %s\n' $four "$work/v2" "$work/v4" | "$versions" "$journal"
expect "diff: both sides of a conflict" 0 "^+b = 4$" "here (-) and on the other node (+)" config diff /etc/x/main.cf "${with[@]}"
if grep -q '^+++ /etc/x/main.cf on the other node, version 8$' "$work/out"; then ok; else bad "diff says which side is where"; fi
expect "log: the other side" 0 "the other side of a conflict" - config log -n 2 "${with[@]}"
expect "show: what stood here is not the other side" 0 "^b = 3$" - config show /etc/x/main.cf "${with[@]}"
echo prune | "$versions" "$journal"
expect "show: forgotten" 1 - "no version 1" config show 1 "${with[@]}"

# ------------------------------------------------------------ keys
umask 077
expect "a fresh key" 0 '^1 sha256 [0-9a-f]\{64\}$' "" keygen
cp "$work/out" "$work/authkeys"
expect "another fresh key" 0 '^auth 1$' "" keygen
if cmp -s "$work/out" "$work/authkeys"; then bad "two keys are the same"; else ok; fi
expect "a key is added" 0 - 'auth 2' keygen --add "$work/authkeys"
if [ "$(grep -c sha256 "$work/authkeys")" = 2 ] && grep -q '^auth 1$' "$work/authkeys" &&
    [ "$(stat -c %a "$work/authkeys")" = 600 ]; then ok; else bad "the new key is there, the old one still signs"; fi
for _ in {3..15}; do "$mailpair" keygen --add "$work/authkeys" 2>/dev/null; done
expect "no more than 15 keys" 1 - "15 keys" keygen --add "$work/authkeys"
expect "no key into a file that is not there" 2 - "cannot be changed" keygen --add "$work/none"
echo "auth 7" >"$work/broken"
expect "no key into a file that is wrong" 1 - "broken" keygen --add "$work/broken"
if [ "$(cat "$work/broken")" = "auth 7" ]; then ok; else bad "a wrong file stays as it is"; fi

# ------------------------------------------------------------ the LSB scripts
init=$(dirname "$0")/../etc/init.d
mkdir "$work/bin"
for script in services cluster; do
	sed "s|^PATH=.*|PATH=$work/bin:\$PATH|" "$init/$script" >"$work/$script"
done

# lsb SCRIPT ACTION MAILPAIR-EXIT WANTED-EXIT WANTED-OUTPUT : what the script makes of mailpair's answer
lsb() {
	local got
	printf '#!/bin/sh\necho "$*" >>%s/asked\necho "postfix runs, OK"\nexit %s\n' "$work" "$3" >"$work/bin/mailpair"
	chmod 700 "$work/bin/mailpair"
	: >"$work/asked"
	sh "$work/$1" "$2" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	if [ "$got" = "$4" ] && { [ -z "$5" ] || [ "$(cat "$work/out")" = "$5" ]; }; then
		ok
	else
		bad "$1 $2 with mailpair's exit status $3: exit $got, not $4, \"$5\""
	fi
}
for script in services cluster; do
	lsb $script status 0 0 "$script: running"
	lsb $script status 1 3 "$script: stopped"
	lsb $script status 2 4 "$script: unknown"
	lsb $script frobnicate 0 2 ""
	if [ "$(id -u)" = 0 ]; then
		lsb $script start 0 0 ""
		lsb $script start 1 1 ""
		lsb $script stop 3 1 ""
		lsb $script restart 2 1 ""
	else
		lsb $script start 0 4 ""
	fi
done
sh "$init/mailpair" frobnicate >"$work/out" 2>"$work/err"
case $? in
2 | 5) ok ;;
*) bad "init.d/mailpair knows no such action" ;;
esac

# ------------------------------------------------------------ with a stand-in for the daemon
if ! command -v socat >/dev/null; then
	echo "skip: socat is not installed, so the conversation with mailpaird is not tested here"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
fi
cat >"$work/desk" <<EOF
#!/bin/bash
: >"$work/asked"
while IFS= read -r line && [ -n "\$line" ]; do printf '%s;' "\$line" >>"$work/asked"; done
cat "$work/reply"
EOF
cat >"$work/daemon" <<EOF
#!/bin/bash
IFS= read -r line
printf '%s\n' "\$line" >"$work/asked"
[ -f "$work/reply" ] && cat "$work/reply"
exit 0
EOF
chmod 700 "$work/daemon" "$work/desk"
socat "UNIX-LISTEN:$socket,fork,backlog=20" "EXEC:$work/daemon" 2>/dev/null &
daemon=$!
for _ in {1..200}; do [ -S "$socket" ] && break; read -r -t 0.05 <> <(:); done

# asked NAME LINE : what the last command sent
asked() {
	if [ "$(cat "$work/asked")" = "$2" ]; then ok; else bad "$1: sent \"$(cat "$work/asked")\""; fi
}
reply() { printf '%b' "$1" >"$work/reply"; }
with=(--socket "$socket")

reply 'o all is well\nx 0\n'
expect "what the daemon says is printed" 0 "^all is well$" - status "${with[@]}"
asked "status asks for text" "status json=no"
reply 'o {"healthy": false}\nx 1\n'
expect "its exit code is ours" 1 "^{\"healthy\": false}$" - "${with[@]}" --json status
asked "status asks for JSON" "status json=yes"
reply 'o 0.10 s stop\ne mx2 is not well\nx 3\n'
expect "lines go where they belong" 3 "^0.10 s stop$" "^mx2 is not well$" switchover "${with[@]}" --to=mx2 --timeout 1min
asked "switchover names node and time" "switchover to=mx2 timeout=60000"
reply 'o {"result": "refused"}\nx 3\n'
expect "the daemon's document is printed" 3 '^{"result": "refused"}$' - --json standby "${with[@]}"
asked "standby as JSON" "standby json=yes"
reply 'e mailpaird is busy.\nx 2\n'
expect "there is always a document" 2 '"message": "mailpaird is busy."' "^mailpaird is busy.$" --json standby "${with[@]}"
if grep -q '"result": "cannot"' "$work/out"; then ok; else bad "the document has the result"; fi
reply 'o {"half":\n'
expect "a document that was cut is not completed" 2 '^{"half":$' "went away" --json standby "${with[@]}"
reply 'x 0\n'
expect "online" 0 - - online "${with[@]}"
asked "online" "online"
expect "maintenance" 0 - - maintenance on --for 2h "${with[@]}"
asked "maintenance with an end" "maintenance state=on for=7200000"
expect "maintenance off" 0 - - maintenance off "${with[@]}"
asked "maintenance off" "maintenance state=off"
expect "confirmed by name" 0 - - confirm-dead mx1 --yes mx1 "${with[@]}"
asked "confirm-dead" "confirm-dead node=mx1"
expect "fence" 0 - - fence mx1 "${with[@]}"
asked "fence asks for status by itself" "fence node=mx1 action=status"
expect "fence off" 0 - - fence --off "${with[@]}" mx1
asked "fence off" "fence node=mx1 action=off"
expect "fence test" 0 - - fence mx1 --test "${with[@]}"
asked "fence test" "fence node=mx1 action=test"
expect "services" 0 - - services restart "${with[@]}"
asked "services" "services do=restart"
expect "cluster" 0 - - cluster stop "${with[@]}"
asked "cluster" "cluster do=stop"
expect "reload" 0 - - reload "${with[@]}"
asked "reload" "reload"
expect "strange bytes are encoded" 0 - - fence $'m x%1\n' "${with[@]}"
asked "strange bytes" "fence node=m%20x%251%0A action=status"
expect "-- ends the options" 0 - - "${with[@]}" fence -- --off
asked "-- ends the options" "fence node=--off action=status"
expect "an argument beyond all measure" 2 - "too long" fence "$(printf 'x%.0s' {1..2000})" "${with[@]}"
reply 'o half'
expect "a daemon that dies in the middle" 2 "" "went away" switchover "${with[@]}"
reply ''
expect "a daemon that says nothing" 2 - "went away" status "${with[@]}"
reply 'HTTP/1.0 400 what\n'
expect "something that is not the daemon" 2 - "is not mailpaird" status "${with[@]}"
reply 'o a\033[2Jb\nx 0\n'
expect "no terminal codes" 0 "^a?\[2Jb$" - standby "${with[@]}"
reply 'o {\no   "role": "active",\no   "storage": {"device": "x", "mounted": true}\no }\nx 0\n'
expect "mail may start where the spool is" 0 - - services may-start "${with[@]}"
reply 'o {\no   "role": "active",\no   "storage": {"device": "x", "mounted": null},\no   "x": {"mounted": true}\no }\nx 1\n'
expect "mail may not start without the spool" 1 - "not mounted here" services may-start "${with[@]}"
reply 'o {\no   "role": "standby",\no   "peer_role": "active",\no   "storage": {"mounted": false}\no }\nx 0\n'
expect "mail may not start on the standby" 1 - "not the active node" services may-start "${with[@]}"
reply 'e You are not permitted\nx 2\n'
expect "mail may not start when nothing is known" 2 - "nobody can say" services may-start "${with[@]}"

# ------------------------------------------------------------ with a stand-in for mailpair-config
socat "UNIX-LISTEN:$work/config.sock,fork,backlog=20" "EXEC:$work/desk" 2>/dev/null &
desk=$!
for _ in {1..200}; do [ -S "$work/config.sock" ] && break; read -r -t 0.05 <> <(:); done
with=(--socket "$work/config.sock")
reply '-\tin_step?no\tfiles#412\tpending#1\tconflicts#1\tnode=mx1\trole=active\ttenure#7\tpeer=mx2\tlink=connected\twriters=active\tactive=mx1\tread#1000000000000\tread_why=the nodes have met\nconflict\tpath=etc/x\twhy=changed on both\tsince#1000000000000\nconflict\tpath=etc/y\tkind=unknown\twhy=cannot tell\tsince#1\nproblem\tkind=invalid\tpath=etc/postfix\ttext=line 3 is wrong\n.\tcode#1\ttext=\n'
expect "config status" 1 "^in step    no; 412 files$" - config status "${with[@]}"
asked "config status" "status;"
if grep -q '^this node  mx1, active, tenure 7$' "$work/out" && grep -q '^peer       mx2: connected$' "$work/out" &&
    grep -q '^CONFLICT   /etc/x: changed on both (since 2001-09-09T01:46:40Z)$' "$work/out" && grep -q 'config resolve /etc/x --take NODE' "$work/out" &&
    ! grep -q 'resolve /etc/y' "$work/out" && grep -q 'told as unreadable' "$work/out" &&
    grep -q '^all read   2001-09-09T01:46:40Z: the nodes have met$' "$work/out" &&
    grep -q '^invalid /etc/postfix: line 3 is wrong$' "$work/out"; then ok; else bad "config status has all rows"; fi
expect "config status as JSON" 1 '"in_step": false' - config status "${with[@]}" --json
if grep -q '"conflicts_at": \[{"path": "/etc/x", "why": "changed on both", "since": 1000000000000}, {"path": "/etc/y", ' "$work/out" &&
    grep -q '"result": "no"' "$work/out"; then ok; else bad "the document has all rows"; fi
if command -v python3 >/dev/null && ! python3 -m json.tool "$work/out" >/dev/null; then bad "the document is JSON"; else ok; fi
reply 'step\tdo=put back\tpath=etc/x\tnote=version 3\tversion#3\nstep\tdo=remove\tpath=etc/a%0ab\n.\tcode#0\ttext=2 changes\n'
expect "a plan is one line for each step" 0 "^put back   /etc/x  version 3$" - config rollback $one --back-to "${with[@]}"
asked "rollback of a set" "rollback;set $one;back-to yes;apply no;"
if grep -q '^remove     /etc/a?b$' "$work/out" && grep -q '^Nothing was done' "$work/out"; then ok; else bad "the plan is shown, and that it is one"; fi
expect "a rollback that is done" 0 "^2 changes$" - config rollback 3 --apply "${with[@]}"
asked "rollback to a version" "rollback;version 3;back-to no;apply yes;"
reply '.\tcode#3\ttext=rollback is refused on this node: do it on mx1\n'
expect "refused" 3 - "refused on this node: do it on mx1" config rollback 3 --apply "${with[@]}"
expect "refused, as JSON" 3 '"result": "refused"' "refused on this node" --json config rollback 3 --apply "${with[@]}"
reply '.\tcode#0\ttext=\n'
expect "resync" 0 - - config resync --from mx1 "${with[@]}"
asked "resync is a plan first" "resync;from mx1;apply no;"
expect "resolve" 0 - - config resolve /etc/a $'etc/b%\n' --take mx2 "${with[@]}"
asked "resolve" "resolve;take mx2;path etc/a;path etc/b%25%0a;"
reply 'step\tdo=remove\tpath=etc/x\n'
expect "an answer that is cut" 2 "" "broke off" config resync --from mx1 "${with[@]}"
reply 'HTTP/1.0 400 what\n'
expect "something that is not mailpair-config" 2 - "cannot be read" config status "${with[@]}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
