#!/bin/sh
# tests/layers.sh - which folder may include which, where each library is known, and which files are
# pure. Says each breach with file and line; the last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
found=$(mktemp) || exit 1
trap 'rm -f "$found"' EXIT

# verdict RULE: $found lists the breaches, and is empty when the rule holds
verdict() {
	if [ ! -s "$found" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL: %s\n' "$1"
		sed 's/^/    /' "$found"
	fi
}

sources() {
	find "$@" -name '*.[ch]' | sort
}

# ---------------------------------------------------------------- folders

# allow FOLDER OTHER...: its files include from the root, from themselves and from these only
allow() {
	folder=$1
	known="$known $folder"
	[ -d "$folder" ] || return 0
	sources "$folder" | while read -r file; do
		awk -v may=" $* " -v file="$file" '
		/^[ \t]*#[ \t]*include[ \t]*"/ {
			split($0, part, "\"")
			if (part[2] !~ /\// || part[2] ~ /^\.|\/\./)
				print file ":" FNR ": " part[2] " is not written from the root"
			else {
				from = part[2]
				sub(/\/.*/, "", from)
				if (index(may, " " from " ") == 0)
					print file ":" FNR ": includes " part[2]
			}
		}' "$file"
	done >"$found"
	verdict "$folder includes nothing but:$(printf ' %s' "$@")"
}

known=
allow common
allow mta common
allow queuesync common mta
allow configsync common
allow supervisor common mta
allow tests common mta queuesync configsync supervisor
for folder in */; do
	folder=${folder%/}
	case " $known build " in
	*" $folder "*) ;;
	*) [ -z "$(sources "$folder")" ] || echo "$folder: add it to tests/layers.sh" ;;
	esac
done >"$found"
verdict 'every folder with C files has its rule'

# ---------------------------------------------------------------- libraries

# library HEADER PLACE...: known to the pairs PLACE.c and PLACE.h only; HEADER is a pattern of grep -E
library() {
	header=$1
	shift
	files=$(sources common mta queuesync configsync supervisor tests 2>/dev/null)
	# shellcheck disable=SC2086 # a list of names without blanks
	grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$header" $files /dev/null |
	while IFS=: read -r file line rest; do
		for place in "$@"; do
			# shellcheck disable=SC2254 # a place may be a pattern
			case $file in
			$place.[ch]) continue 2 ;;
			esac
		done
		echo "$file:$line: $rest"
	done >"$found"
	verdict "<$header...> stands in$(printf ' %s' "$@") only"
}

library 'event(2/|\.h)' common/loop common/channel_stream
library 'openssl/' common/digest common/cipher common/channel_tls tests/unit/tls_peer
library 'confuse\.h' common/conf
library 'sqlite3\.h' common/db
library 'zstd' common/zstd
library 'inotifytools/' configsync/watch_inotify
library 'liburing' queuesync/batch_read
library 'ext2fs/' queuesync/inode_table
library 'systemd/' supervisor/notify
library 'check\.h' 'tests/unit/*'

# ---------------------------------------------------------------- pure files

calls='(^|[^A-Za-z0-9_.>])(clock_(mono|boot|wall)_[a-z]+|log_(err|warnx?|info|debug)|fatalx?|time|f?printf|'
calls=$calls'f?puts|f?open|fdopen|read|write|close|f?stat|socket|send|recv|getenv|digest_random)[ \t]*[(]'
headers='["/](log|loop|spawn|spawn_kid|db|journal|durable)[.]h"|'
headers=$headers'<(unistd|fcntl|time|poll|dirent|syslog|signal|mntent|netdb|sqlite3)[.]h>|'
headers=$headers'<sys/(socket|stat|time|select|epoll|wait|ioctl|un|random|mman)[.]h>|<(net|linux|event2|openssl)/'

# pure FILE: asks no clock, opens no file, knows no socket and writes no log: same in, same out
pure() {
	if [ -f "$1" ]; then
		# a line that begins in column 0 is a declaration, not a call
		awk -f tests/c_code.awk "$1" | awk -F: -v calls="$calls" -v headers="$headers" '
		{
			code = substr($0, length($1 $2) + 3)
			at = 0
			if (code ~ /^[ \t]*#[ \t]*include/)
				at = match(code, headers)
			else if (code !~ /^[a-z]/)
				at = match(code, calls)
			if (at > 0)
				print $1 ":" $2 ": " substr(code, RSTART, RLENGTH)
		}' >"$found" || echo "$1: cannot be judged, awk failed" >"$found"
	else
		echo "$1: is not there; take it off the list in tests/layers.sh" >"$found"
	fi
	verdict "$1 is pure"
}

for file in supervisor/fsm.c supervisor/level.c supervisor/beat.c supervisor/beat_memory.c supervisor/pulse.c supervisor/trial.c \
    supervisor/gap.c supervisor/seal.c supervisor/status_json.c supervisor/status_text.c \
    supervisor/control_parse.c supervisor/fence_answer.c supervisor/address_frame.c \
    supervisor/link_frame.c supervisor/why.c supervisor/whatif.c supervisor/whatif_words.c \
    supervisor/whatif_text.c supervisor/replay.c common/conf_check.c common/conf_check_net.c common/conf_check_sync.c common/conf_diff.c \
    common/conf_lex.c common/json.c common/utf8.c common/channel_key.c common/channel_wire.c mta/mta_health.c mta/exim_id.c mta/exim_lines.c mta/exim_header.c \
    mta/exim_data.c mta/exim_hints.c mta/postfix_id.c mta/postfix_record.c mta/postfix_log.c mta/qmail_record.c \
    queuesync/finding.c queuesync/table.c \
    queuesync/rule_table.c queuesync/rules*.c queuesync/check*.c queuesync/by_inode.c \
    configsync/arena.c configsync/pool.c configsync/path_set.c configsync/entry.c configsync/acl.c configsync/manifest.c configsync/manifest_wire.c configsync/bytes.c configsync/wire.c configsync/wire_parse.c configsync/glob.c \
    configsync/scope.c configsync/report.c configsync/diff*.c configsync/set.c configsync/settle.c configsync/derived.c \
    configsync/qmail_control.c configsync/qmail_rows.c configsync/cdb.c configsync/setup.c configsync/ctl_text.c configsync/core*.c configsync/watch_pending.c configsync/rebuild_plan.c; do
	pure "$file"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
