/*
 * configsync/glob.c - patterns, one component after the other. Pure.
 */
#include "configsync/glob.h"

#include <fnmatch.h>
#include <string.h>

#include "configsync/entry.h"

static bool
component_match(const char *pattern, size_t pattern_len, const char *name, size_t name_len)
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

bool
glob_match(const char *pattern, const char *path)
{
	const char *name = strrchr(path, '/');

	if (strchr(pattern, '/') == NULL && strcmp(pattern, "**") != 0)
		return match(pattern, name == NULL ? path : name + 1);
	return match(*pattern == '/' ? pattern + 1 : pattern, path);
}
