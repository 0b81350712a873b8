/*
 * configsync/glob.c - patterns, one component after the other. Pure.
 */
#include "configsync/glob.h"

#include <fnmatch.h>
#include <stdint.h>
#include <string.h>

#include "configsync/entry.h"

static bool
library_match(const char *pattern, size_t pattern_len, const char *name, size_t name_len)
{
	char p[ENTRY_PATH_MAX], n[ENTRY_NAME_MAX + 1];

	if (pattern_len >= sizeof p || name_len >= sizeof n)
		return false;
	memcpy(p, pattern, pattern_len);
	p[pattern_len] = '\0';
	memcpy(n, name, name_len);
	n[name_len] = '\0';
	return fnmatch(p, n, 0) == 0;
}

/* Where there is no set of bytes and nothing escaped. */
static bool
plain_match(const char *pattern, size_t pattern_len, const char *name, size_t name_len)
{
	size_t p = 0, n = 0, star = SIZE_MAX, from = 0;

	while (n < name_len) {
		if (p < pattern_len && pattern[p] == '*') {
			star = p++;
			from = n;
		} else if (p < pattern_len && (pattern[p] == '?' || pattern[p] == name[n])) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {	/* the last star takes one more */
			p = star + 1;
			n = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern_len && pattern[p] == '*')
		p++;
	return p == pattern_len;
}

static bool
component_match(const char *pattern, size_t pattern_len, const char *name, size_t name_len)
{
	if (memchr(pattern, '[', pattern_len) != NULL || memchr(pattern, '\\', pattern_len) != NULL)
		return library_match(pattern, pattern_len, name, name_len);
	return plain_match(pattern, pattern_len, name, name_len);
}

static const char *
after(const char *at, size_t len)
{
	return at[len] == '/' ? at + len + 1 : at + len;
}

static bool
match(const char *pattern, const char *path)
{
	while (*pattern != '\0') {
		size_t p = strcspn(pattern, "/"), n = strcspn(path, "/");

		if (p == 2 && memcmp(pattern, "**", 2) == 0) {
			pattern = after(pattern, p);
			if (*pattern == '\0')
				return *path != '\0';
			while (!match(pattern, path)) {
				if (*path == '\0')
					return false;
				path = after(path, strcspn(path, "/"));
			}
			return true;
		}
		if (n == 0 || !component_match(pattern, p, path, n))
			return false;
		pattern = after(pattern, p);
		path = after(path, n);
	}
	return *path == '\0';
}

static bool
is_special(char c)
{
	return c == '*' || c == '?' || c == '[' || c == '\\';
}

/* Most patterns differ from most paths before anything special comes. */
static bool
differs_at_once(const char *pattern, const char *path)
{
	while (*pattern == *path && *pattern != '\0' && !is_special(*pattern)) {
		pattern++;
		path++;
	}
	return *pattern != *path && *pattern != '\0' && *pattern != '/' && !is_special(*pattern);
}

struct glob
glob_of(const char *pattern)
{
	bool of_name = strchr(pattern, '/') == NULL && strcmp(pattern, "**") != 0;

	return (struct glob){ pattern + (!of_name && *pattern == '/'), strlen(pattern), of_name, of_name && strpbrk(pattern, "[\\") == NULL };
}

/* Each path is compared with all patterns, and most of these are of names, and say how one ends. */
static bool
is_plain(const struct glob *g, const char *name)
{
	size_t len = strlen(name);
	char last = g->len == 0 ? '*' : g->pattern[g->len - 1];

	return len > 0 && (last == '*' || last == '?' || name[len - 1] == last) && plain_match(g->pattern, g->len, name, len);
}

bool
glob_is(const struct glob *g, const char *path, const char *name)
{
	if (g->of_name)
		path = name;
	if (differs_at_once(g->pattern, path))
		return false;
	return g->plain ? is_plain(g, name) : match(g->pattern, path);
}

bool
glob_match(const char *pattern, const char *path)
{
	const struct glob g = glob_of(pattern);
	const char *name = strrchr(path, '/');

	return glob_is(&g, path, name == NULL ? path : name + 1);
}
