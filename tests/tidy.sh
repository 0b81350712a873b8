#!/bin/sh
# tests/tidy.sh [--ratchet] - habits that a compiler does not check. Says each offence with file and
# line; the last line is "N passed, N failed". A line that has to break a rule about calls carries a
# comment "tidy: REASON". Sizes are a ratchet: tests/tidy.ratchet holds how many offenders there may
# be, more is a failure; --ratchet writes the counts of today into it.
set -u
cd "$(dirname "$0")/.." || exit 1
ratchet=tests/tidy.ratchet
passed=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
found=$work/found
export LC_ALL=C

FUNCTION_MAX=70 FILE_MAX=600

pass() {
	passed=$((passed + 1))
}

fail() {
	failed=$((failed + 1))
	printf 'FAIL: %s\n' "$1"
	sed 's/^/    /' "$found"
}

# verdict RULE: $found lists the offences, and is empty when the rule holds
verdict() {
	if [ -s "$found" ]; then
		fail "$1"
	else
		pass
	fi
}

# Everything that people write; not what was recorded elsewhere or was built.
find . \( -path ./.git -o -path ./build -o -path ./tests/fixtures -o -path ./tests/fuzz/corpus \
    -o -name __pycache__ \) -prune -o -type f ! -name '*.png' ! -name '*.gif' ! -name '*.svg' \
    ! -name '*.o' -print | sed 's|^\./||' | sort >"$work/all"
grep '\.[ch]$' "$work/all" >"$work/c"
while read -r file; do
	case $file in
	*.sh | *.py | *.scn | tests/live/* | tests/bench/* | tests/scenario/*)
		case $file in
		*.[ch] | *.md) ;;
		*) echo "$file" ;;
		esac
		;;
	esac
done <"$work/all" >"$work/scripts"

# ---------------------------------------------------------------- calls

# shellcheck disable=SC2046 # names without blanks
awk -f tests/c_code.awk $(cat "$work/c") >"$work/code"

# calls RULE NOT-IN PATTERN: outside the files that match NOT-IN nothing that matches is called
calls() {
	grep -vE "^($2):" "$work/code" | grep -E ":(.*[^A-Za-z0-9_.>])?($3)[[:space:]]*\(" |
	while IFS=: read -r file line code; do
		sed -n "${line}p" "$file" | grep -q 'tidy: .\{10\}' || echo "$file:$line:$code"
	done >"$found"
	verdict "$1"
}

calls 'no call that overruns, hides a shell or hides an error' 'none' \
    'strcpy|strcat|v?sprintf|system|popen|gets|ato[ifl]|atoll|strtok|alloca'
calls 'only common/clock.c asks the time' 'common/clock\.c|tests/[^:]*' \
    'time|ftime|gettimeofday|clock_gettime'
calls 'no C code sleeps: it waits for an event' 'none' 'sleep|usleep|nanosleep|clock_nanosleep'

# each PATTERN: the lines of all texts that match
each() {
	tr '\n' '\0' <"$work/all" | xargs -0 grep -nE "$1" /dev/null | cut -c1-120 >"$found"
}

# Scripts: the word in a command's place, in a string that is a command, or Python's call.
tr '\n' '\0' <"$work/scripts" | xargs -0 grep -nE \
    "time\.sleep|(^|[;&|({]|\b(do|then|else))[[:space:]]*sleep[[:space:]]|[\"']sleep[ \"']" /dev/null |
    grep -vE '^[^:]*:[0-9]+:[[:space:]]*#|tidy: .{10}' >"$found"
verdict 'no test sleeps: it waits for an event'

# ---------------------------------------------------------------- text

each '[[:blank:]]+$'
verdict 'no blanks at the end of a line'

each "$(printf '[\001-\010\013-\037\177]')"
verdict 'no control characters'

while read -r file; do
	[ ! -s "$file" ] || [ -z "$(tail -c 1 "$file")" ] || echo "$file"
done <"$work/all" >"$found"
verdict 'every last line has its end'

# Spelled in halves, so that this file does not hold them.
each '(^|[^A-Za-z0-9_])(TO''DO|FIX''ME|XX''X|HA''CK)([^A-Za-z0-9_]|$)'
verdict 'nothing is left for later'

while read -r file; do
	case $(sed -n 2p "$file") in
	" * $file - "*) ;;
	*) echo "$file: its second line should say \" * $file - what it is\"" ;;
	esac
done <"$work/c" >"$found"
verdict 'every C file opens with its name and its purpose'

# ---------------------------------------------------------------- sizes

# shellcheck disable=SC2046 # names without blanks
awk -v most=$FILE_MAX '
FNR == 1 && last > most { print name ": " last " lines" }
{ name = FILENAME; last = FNR }
END { if (last > most) print name ": " last " lines" }' $(cat "$work/c") >"$work/files"

# A function is from a line that is "{" to one that is "}", both in column 0; its name is above.
# shellcheck disable=SC2046
awk -v most=$FUNCTION_MAX '
FNR == 1 { begin = 0 }
/^[a-z_][A-Za-z0-9_]*\(/ { name = $0; sub(/\(.*/, "", name) }
/^START_TEST\(/ { name = $0; sub(/^START_TEST\(/, "", name); sub(/\).*/, "", name) }
/^\{$/ { begin = FNR }
/^}/ && begin {
	if (FNR - begin + 1 > most)
		print FILENAME ":" begin ": " name "() has " FNR - begin + 1 " lines"
	begin = 0
}' $(cat "$work/c") >"$work/functions"

count() {
	wc -l <"$work/$1" | tr -d ' '
}

if [ "${1:-}" = --ratchet ]; then
	for what in files functions; do
		echo "$what $(count $what)"
	done >"$ratchet"
fi

# size WHAT RULE: no more offenders than the ratchet allows
size() {
	have=$(count "$1")
	may=$(awk -v what="$1" '$1 == what { print $2 }' "$ratchet")
	if [ "$have" -gt "${may:-0}" ]; then
		cp "$work/$1" "$found"
		fail "$2: there are $have, tests/tidy.ratchet allows ${may:-0}"
		return
	fi
	pass
	sed 's/^/known: /' "$work/$1"
	[ "$have" -eq "${may:-0}" ] ||
		echo "note: $1: $have of ${may:-0} allowed; tests/tidy.sh --ratchet keeps it that way"
}

size files "files of more than $FILE_MAX lines"
size functions "functions of more than $FUNCTION_MAX lines"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
