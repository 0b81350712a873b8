/*
 * mta/qmail_conf.c - finds qmail's home and its services. Runs in workers; blocks on small files.
 *
 * qmail has no list of its services: they are directories in which a script "run" starts something, linked
 * into a directory that svscan or runsvdir watches. What a script starts is told by its words.
 */
#include "mta/qmail_conf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/durable.h"
#include "common/spawn.h"

#define SCRIPT_MAX 16384
#define SHOWCTL_MS 2000

/* ---------------------------------------------------------------- words of a script */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\\';
}

/* The next word from *at on, without quotes around it; false: no more. Comments are passed over. */
static bool
next_word(const char **at, const char **ret, size_t *ret_len)
{
	const char *p = *at;

	for (;;) {
		while (is_blank(*p))
			p++;
		if (*p != '#')
			break;
		p += strcspn(p, "\n");
	}
	if (*p == '\0')
		return false;
	if (*p == '"' || *p == '\'')
		p++;
	*ret = p;
	while (*p != '\0' && !is_blank(*p) && *p != '"' && *p != '\'' && *p != ';' && *p != '&' && *p != '|')
		p++;
	*ret_len = (size_t)(p - *ret);
	*at = *p != '\0' ? p + 1 : p;
	return true;
}

/* Is the last component of the word this program? */
static bool
names(const char *word, size_t len, const char *program)
{
	size_t n = strlen(program);

	return len >= n && strncmp(word + len - n, program, n) == 0 && (len == n || word[len - n - 1] == '/');
}

static bool
names_any(const char *word, size_t len, const char *const *programs)
{
	for (; *programs != NULL; programs++)
		if (names(word, len, *programs))
			return true;
	return false;
}

enum qmail_start
qmail_script_starts(const char *text, const char *home)
{
	static const char *const send[] = { "qmail-start", "qmail-send", NULL };
	static const char *const listen[] = { "tcpserver", "sslserver", "tcpsvd", "couriertcpd", "qmail-smtpd", "qmail-qmtpd",
		"qmail-qmqpd", NULL };
	static const char *const pop[] = { "qmail-popup", "qmail-pop3d", NULL };
	enum qmail_start found = QMAIL_STARTS_NOTHING;
	const char *word;
	char rc[QMAIL_PATH_MAX + 4];
	size_t len;

	snprintf(rc, sizeof rc, "%s/rc", home);
	while (next_word(&text, &word, &len)) {
		if (names_any(word, len, send) || (len == strlen(rc) && strncmp(word, rc, len) == 0))
			return QMAIL_STARTS_SEND;
		if (names_any(word, len, pop))
			found = QMAIL_STARTS_POP;
		else if (found == QMAIL_STARTS_NOTHING && names_any(word, len, listen))
			found = QMAIL_STARTS_LISTENER;
	}
	return found;
}

/* "-x FILE", "-xFILE", or the last of several letters: "-vRx FILE". */
bool
qmail_script_cdb(const char *text, char *ret, size_t size)
{
	const char *word, *x;
	size_t len;
	bool server = false;

	while (next_word(&text, &word, &len)) {
		server = server || names(word, len, "tcpserver") || names(word, len, "sslserver");
		if (!server || len < 2 || word[0] != '-' || (x = memchr(word, 'x', len)) == NULL)
			continue;
		len -= (size_t)(x - word) + 1;
		word = x + 1;
		if (len == 0 && !next_word(&text, &word, &len))
			return false;
		if (len == 0 || len >= size || word[0] != '/' || memchr(word, '$', len) != NULL)
			return false;
		memcpy(ret, word, len);
		ret[len] = '\0';
		return true;
	}
	return false;
}

/* ---------------------------------------------------------------- services */

/* "run" may be a symbolic link into a directory of scripts. */
static bool
script_read(const char *path, char text[SCRIPT_MAX])
{
	char *resolved = realpath(path, NULL);
	bool ok = resolved != NULL && durable_read(resolved, text, SCRIPT_MAX, NULL) != -1;

	free(resolved);
	return ok;
}

static bool
known_already(const struct qmail_conf *conf, const struct stat *st)
{
	for (size_t i = 0; i < conf->services; i++)
		if (conf->service[i].dev == st->st_dev && conf->service[i].ino == st->st_ino)
			return true;
	return false;
}

/*
 * One service, if it is one. given: by the configuration, so it must be there, and belongs to qmail whatever its words
 * say.
 */
static bool
service_add(struct qmail_conf *conf, const char *path, bool given, struct err *err)
{
	struct qmail_service *svc = &conf->service[conf->services];
	char run[QMAIL_PATH_MAX + 8], text[SCRIPT_MAX];
	enum qmail_start starts;
	struct stat st, script;

	if (stat(path, &st) == -1)
		return !given || err_set(err, errno, "there is no service %s", path);
	if (!S_ISDIR(st.st_mode) && (!given || !S_ISREG(st.st_mode) || (st.st_mode & S_IXUSR) == 0))
		return !given || err_set(err, 0, "the service %s is neither a directory with a script \"run\" nor a program", path);
	snprintf(run, sizeof run, S_ISDIR(st.st_mode) ? "%s/run" : "%s", path);
	if (stat(run, &script) == -1 || !S_ISREG(script.st_mode) || (script.st_mode & S_IXUSR) == 0)
		return !given || err_set(err, 0, "the service %s has no executable script \"run\"", path);
	if (known_already(conf, &st))
		return true;
	starts = script_read(run, text) ? qmail_script_starts(text, conf->home) : QMAIL_STARTS_NOTHING;
	if (starts == QMAIL_STARTS_NOTHING && !given)
		return true;
	if (conf->services == QMAIL_SERVICES_MAX)
		return err_set(err, 0, "more than %d services of qmail", QMAIL_SERVICES_MAX);
	*svc = (struct qmail_service){ .supervised = S_ISDIR(st.st_mode), .sends = starts == QMAIL_STARTS_SEND,
		.listens = starts == QMAIL_STARTS_LISTENER || starts == QMAIL_STARTS_POP, .pop = starts == QMAIL_STARTS_POP, .dev = st.st_dev, .ino = st.st_ino };
	snprintf(svc->path, sizeof svc->path, "%s", path);
	if (svc->listens && !qmail_script_cdb(text, svc->cdb, sizeof svc->cdb))
		svc->cdb[0] = '\0';
	conf->services++;
	return true;
}

static int
order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Names that svscan would watch: not those that begin with a dot. */
static int
is_watched(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* A directory may be unreadable or half a service: what is not clearly qmail's is left alone. */
static bool
services_find(struct qmail_conf *conf, const char *dir, struct err *err)
{
	struct dirent **entry;
	int n = scandir(dir, &entry, is_watched, order);
	bool ok = true;

	for (int i = 0; i < n; i++) {
		char path[QMAIL_PATH_MAX];

		if (ok && snprintf(path, sizeof path, "%s/%s", dir, entry[i]->d_name) < (int)sizeof path)
			ok = service_add(conf, path, false, err);
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
	return ok;
}

static bool
sends_somewhere(const struct qmail_conf *conf, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->services; i++)
		n += conf->service[i].sends;
	return n <= 1 || err_set(err, 0, "%zu services start qmail-send: name the right ones with \"services\" in the mta section", n);
}

bool
qmail_conf_home(const struct mta_params *params, struct qmail_conf *ret, struct err *err)
{
	const char *home = params->config != NULL ? params->config : QMAIL_HOME;
	char path[QMAIL_PATH_MAX + 8], *resolved;

	if (strlen(home) + sizeof "/queue" > sizeof ret->queue)
		return err_set(err, 0, "the path of qmail's home is too long: %.100s...", home);
	snprintf(path, sizeof path, "%s/bin", home);
	resolved = realpath(path, NULL);
	if (resolved == NULL)
		return err_set(err, errno, "there is no qmail: cannot find %s", path);
	ret->services = 0;
	snprintf(ret->home, sizeof ret->home, "%s", home);
	snprintf(ret->queue, sizeof ret->queue, "%s/queue", home);
	snprintf(ret->bin, sizeof ret->bin, "%s", resolved);
	free(resolved);
	return true;
}

/* HOME/rc, as INSTALL has it for a host without supervise. */
static bool
add_rc(struct qmail_conf *conf, struct err *err)
{
	char rc[QMAIL_PATH_MAX];

	for (size_t i = 0; i < conf->services; i++)
		if (conf->service[i].sends)
			return true;
	snprintf(rc, sizeof rc, "%.500s/rc", conf->home);
	return (service_add(conf, rc, true, NULL) && conf->service[conf->services - 1].sends) || err_set(err, 0, "nothing starts "
	    "qmail-send: there is no service for it in /service, /etc/service or /var/service, and no %s that does; name it "
	    "with \"services\" in the mta section", rc);
}

bool
qmail_conf_load(const struct mta_params *params, struct qmail_conf *ret, struct err *err)
{
	static const char *const watched[] = { "/service", "/etc/service", "/var/service" };
	bool given = params->services != NULL && params->services[0] != NULL, ok = true;

	if (!qmail_conf_home(params, ret, err))
		return false;
	for (size_t i = 0; given && params->services[i] != NULL; i++)
		ok = service_add(ret, params->services[i], true, ok ? err : NULL) && ok;
	for (size_t i = 0; !given && i < sizeof watched / sizeof watched[0]; i++)
		ok = services_find(ret, watched[i], ok ? err : NULL) && ok;
	ok = add_rc(ret, ok ? err : NULL) && ok;
	return ok && sends_somewhere(ret, err);
}

/* ---------------------------------------------------------------- split */

uint32_t
qmail_built_split(const struct qmail_conf *conf, uint64_t deadline_ms)
{
	static const char label[] = "subdirectory split: ";
	char program[QMAIL_PATH_MAX + 16], out[4096] = "", *at;
	const char *const argv[] = { program, NULL };
	const struct spawn_cmd cmd = { .argv = argv };
	uint64_t now = clock_mono_ms();
	uint32_t limit = deadline_ms > now + SHOWCTL_MS ? SHOWCTL_MS : deadline_ms > now ? (uint32_t)(deadline_ms - now) : 0;
	long split;

	snprintf(program, sizeof program, "%s/qmail-showctl", conf->bin);
	/* it goes on with every control file; what is wanted stands near the top, and its end status says nothing */
	if (limit == 0 || access(program, X_OK) == -1 || spawn_run(&cmd, limit, out, sizeof out, NULL, 0, NULL) == -1)
		return 0;
	at = strstr(out, label);
	split = at == NULL ? 0 : strtol(at + sizeof label - 1, NULL, 10);
	return split > 0 && split <= 65536 ? (uint32_t)split : 0;
}
