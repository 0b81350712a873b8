#!/bin/sh
# tests/lint.sh - cppcheck, clang-tidy and shellcheck over the sources; what is not installed is said and passed over.
cd "$(dirname "$0")/.." || exit 1
failed=0
if command -v cppcheck >/dev/null; then
	cppcheck -q --std=c11 --enable=warning,performance,portability --suppress=missingIncludeSystem --suppress=funcArgOrderDifferent --suppress=ctuuninitvar --inline-suppr \
	    --error-exitcode=1 -I. common mta supervisor || failed=1
else
	echo "cppcheck is not installed: passed over"
fi
if command -v clang-tidy >/dev/null; then
	clang-tidy --quiet --checks='-*,clang-analyzer-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-clang-analyzer-valist.Uninitialized,-bugprone-implicit-widening-of-multiplication-result,-bugprone-branch-clone,-bugprone-macro-parentheses,-bugprone-assignment-in-if-condition' \
	    common/*.c mta/*.c supervisor/*.c -- -std=c11 -D_GNU_SOURCE -I. -DMAILPAIR_VERSION='"lint"' 2>/dev/null | tee /dev/stderr | grep -q 'error:' && failed=1
else
	echo "clang-tidy is not installed: passed over"
fi
if command -v shellcheck >/dev/null; then
	git ls-files -z | xargs -0 grep -lE '^#!/bin/(ba)?sh' | xargs shellcheck || failed=1
else
	echo "shellcheck is not installed: passed over"
fi
exit $failed
