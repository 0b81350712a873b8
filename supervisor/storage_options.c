/*
 * supervisor/storage_options.c - mount options as mount(2) wants them.
 *
 * Pure: no file, no clock. /bin/mount does the same for people; calling it costs more than the
 * mount itself. What is not known here is passed on to the file system, which refuses what it does
 * not know.
 */
#include <string.h>
#include <sys/mount.h>

#include "supervisor/storage_impl.h"

enum effect { EFFECT_SET, EFFECT_CLEAR, EFFECT_DROP, EFFECT_REFUSE };

struct option {
	const char *name;
	enum effect effect;
	unsigned long flags;
};

/* clang-format off */
static const struct option options_known[] = {
	{ "noatime",		EFFECT_SET,	MS_NOATIME },
	{ "atime",		EFFECT_CLEAR,	MS_NOATIME },
	{ "nodiratime",		EFFECT_SET,	MS_NODIRATIME },
	{ "diratime",		EFFECT_CLEAR,	MS_NODIRATIME },
	{ "relatime",		EFFECT_SET,	MS_RELATIME },
	{ "norelatime",		EFFECT_CLEAR,	MS_RELATIME },
	{ "strictatime",	EFFECT_SET,	MS_STRICTATIME },
	{ "nostrictatime",	EFFECT_CLEAR,	MS_STRICTATIME },
	{ "lazytime",		EFFECT_SET,	MS_LAZYTIME },
	{ "nolazytime",		EFFECT_CLEAR,	MS_LAZYTIME },
	{ "nodev",		EFFECT_SET,	MS_NODEV },
	{ "dev",		EFFECT_CLEAR,	MS_NODEV },
	{ "nosuid",		EFFECT_SET,	MS_NOSUID },
	{ "suid",		EFFECT_CLEAR,	MS_NOSUID },
	{ "noexec",		EFFECT_SET,	MS_NOEXEC },
	{ "exec",		EFFECT_CLEAR,	MS_NOEXEC },
	{ "sync",		EFFECT_SET,	MS_SYNCHRONOUS },
	{ "async",		EFFECT_CLEAR,	MS_SYNCHRONOUS },
	{ "dirsync",		EFFECT_SET,	MS_DIRSYNC },
	{ "mand",		EFFECT_SET,	MS_MANDLOCK },
	{ "nomand",		EFFECT_CLEAR,	MS_MANDLOCK },
	{ "silent",		EFFECT_SET,	MS_SILENT },
	{ "loud",		EFFECT_CLEAR,	MS_SILENT },
	{ "iversion",		EFFECT_SET,	MS_I_VERSION },
	{ "noiversion",		EFFECT_CLEAR,	MS_I_VERSION },
	{ "nosymfollow",	EFFECT_SET,	MS_NOSYMFOLLOW },
	{ "defaults",		EFFECT_DROP,	0 },
	{ "rw",			EFFECT_DROP,	0 },
	{ "auto",		EFFECT_DROP,	0 },
	{ "noauto",		EFFECT_DROP,	0 },
	{ "user",		EFFECT_DROP,	0 },
	{ "nouser",		EFFECT_DROP,	0 },
	{ "users",		EFFECT_DROP,	0 },
	{ "owner",		EFFECT_DROP,	0 },
	{ "group",		EFFECT_DROP,	0 },
	{ "nofail",		EFFECT_DROP,	0 },
	{ "_netdev",		EFFECT_DROP,	0 },
	{ "loop",		EFFECT_DROP,	0 },
	{ "ro",			EFFECT_REFUSE,	0 },
	{ "remount",		EFFECT_REFUSE,	0 },
	{ "bind",		EFFECT_REFUSE,	0 },
	{ "rbind",		EFFECT_REFUSE,	0 },
	{ "move",		EFFECT_REFUSE,	0 },
};
/* clang-format on */

/* x-systemd.automount, X-mount.mkdir, comment=...: for other programs. */
static bool
is_comment(const char *word, size_t len)
{
	return (len > 2 && (word[0] == 'x' || word[0] == 'X') && word[1] == '-') ||
	       (len >= 8 && strncmp(word, "comment=", 8) == 0);
}

static const struct option *
option_find(const char *word, size_t len)
{
	for (size_t i = 0; i < sizeof(options_known) / sizeof(options_known[0]); i++)
		if (strlen(options_known[i].name) == len &&
		    strncmp(options_known[i].name, word, len) == 0)
			return &options_known[i];
	return NULL;
}

/* The end of the option at s: a comma outside of double quotes (context="a,b"). */
static size_t
option_length(const char *s)
{
	bool quoted = false;
	size_t n = 0;

	for (; s[n] != '\0' && (quoted || s[n] != ','); n++)
		if (s[n] == '"')
			quoted = !quoted;
	return n;
}

bool
storage_options(
    const char *options, unsigned long *ret_flags, char data[STORAGE_DATA_MAX], struct err *err)
{
	unsigned long flags = 0;
	char rest[STORAGE_DATA_MAX];
	size_t used = 0, len;

	for (const char *at = options; *at != '\0'; at += len + (at[len] == ',')) {
		const struct option *o;

		len = option_length(at);
		if (len == 0 || is_comment(at, len))
			continue;
		o = option_find(at, len);
		if (o == NULL) {
			if (used + len + 2 > sizeof(rest))
				return err_set(err, 0, "the mount options are longer than %d bytes",
				    STORAGE_DATA_MAX);
			if (used > 0)
				rest[used++] = ',';
			memcpy(rest + used, at, len);
			used += len;
			continue;
		}
		switch (o->effect) {
		case EFFECT_SET:
			flags |= o->flags;
			break;
		case EFFECT_CLEAR:
			flags &= ~o->flags;
			break;
		case EFFECT_DROP:
			break;
		case EFFECT_REFUSE:
			return err_set(err, 0,
			    "the mount option \"%s\" makes no sense for a spool: remove it",
			    o->name);
		}
	}
	rest[used] = '\0';
	memcpy(data, rest, used + 1);
	*ret_flags = flags;
	return true;
}
