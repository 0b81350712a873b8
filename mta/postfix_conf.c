/*
 * mta/postfix_conf.c - the values of main.cf by way of postconf, kept in run_dir. Runs in a worker;
 * blocks while postconf runs (5 ms), and only when something has changed since the last time.
 *
 * main.cf is not parsed here: defaults, $name expansion and what a distribution compiled in are
 * known to Postfix alone. master.cf is, in mta/postfix_services.c.
 */
#include "mta/postfix_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/durable.h"
#include "common/spawn.h"

#define CACHE_NAME "mta.postfix.conf"
#define CACHE_HEAD "mailpair postfix conf 2\n"
#define POSTCONF_MS 10000

static const char *const param_name[PF_COUNT] = {
#define X(id, name) [id] = name,
	POSTFIX_PARAMS(X)
#undef X
};

/* Where distributions and hand-made installations put it; no PATH, which is the caller's. */
static const char *const postconf_paths[] = {
	"/usr/sbin/postconf", "/usr/local/sbin/postconf", "/sbin/postconf", "/opt/postfix/sbin/postconf",
};

static const char *
postconf_path(void)
{
	for (size_t i = 0; i < sizeof postconf_paths / sizeof postconf_paths[0]; i++)
		if (access(postconf_paths[i], X_OK) == 0)
			return postconf_paths[i];
	return NULL;
}

bool
postfix_conf_values(struct postfix_conf *conf, const char *text, struct err *err)
{
	char *next;

	if (strlen(text) >= sizeof conf->text)
		return err_set(err, 0, "Postfix's settings are longer than %zu bytes",
		    sizeof conf->text);
	if (conf->text != text)
		memcpy(conf->text, text, strlen(text) + 1);
	for (int i = 0; i < PF_COUNT; i++)
		conf->value[i] = "";
	for (char *line = conf->text; *line != '\0'; line = next) {
		char *equals, *end = strchr(line, '\n');

		next = end != NULL ? end + 1 : line + strlen(line);
		if (end != NULL)
			*end = '\0';
		equals = strstr(line, " =");
		if (equals == NULL)
			continue;
		*equals = '\0';
		equals += 2;
		for (int i = 0; i < PF_COUNT; i++)
			if (strcmp(line, param_name[i]) == 0)
				conf->value[i] = equals + strspn(equals, " ");
	}
	for (int i = PF_QUEUE_DIR; i <= PF_CONFIG_DIR; i++)
		if (conf->value[i][0] != '/' || strlen(conf->value[i]) >= POSTFIX_PATH_MAX - 64)
			return err_set(err, 0, "Postfix's %s is \"%.80s\", not an absolute path",
			    param_name[i], conf->value[i]);
	if (conf->value[PF_MAIL_OWNER][0] == '\0' || conf->value[PF_SETGID_GROUP][0] == '\0')
		return err_set(err, 0, "Postfix's mail_owner or setgid_group is empty");
	return true;
}

/* Run postconf; its answer goes to out. */
static bool
ask_postconf(const char *config, const char *postconf, char *out, size_t size, struct err *err)
{
	const char *argv[PF_COUNT + 5];
	const struct spawn_cmd cmd = { .argv = argv };
	char errout[256] = "";
	struct err why = { 0 };
	int n = 0, status;

	argv[n++] = postconf;
	argv[n++] = "-x";
	if (config != NULL) {
		argv[n++] = "-c";
		argv[n++] = config;
	}
	for (int i = 0; i < PF_COUNT; i++)
		argv[n++] = param_name[i];
	argv[n] = NULL;
	status = spawn_run(&cmd, POSTCONF_MS, out, size, errout, sizeof errout, &why);
	if (status == -1) {
		if (err != NULL)
			*err = why;
		return false;
	}
	errout[strcspn(errout, "\n")] = '\0';
	if (status != 0)
		return err_set(err, 0, "postconf cannot read Postfix's configuration%s%s: %s",
		    config != NULL ? " in " : "", config != NULL ? config : "", errout);
	return true;
}

/* The path becomes part of a name; where its beginning has no room, what is read is compared with the head. */
void
postfix_run_path(const struct mta_params *params, const char *name, char *buf, size_t size)
{
	const char *config = params->config != NULL ? params->config : "", *run_dir = params->run_dir != NULL ? params->run_dir : "";
	size_t len = strlen(config), from;

	config += len > 150 ? len - 150 : 0;
	snprintf(buf, size, "%s/%s%s%s", run_dir, name, config[0] != '\0' ? "." : "", config);
	from = strlen(run_dir) + 1 + strlen(name);
	for (size_t i = from; i < size && buf[i] != '\0'; i++)
		if (buf[i] == '/')
			buf[i] = '-';
}

/* The first line of a cache for this configuration directory. */
static void
cache_head(const struct mta_params *params, char *buf, size_t size)
{
	snprintf(buf, size, CACHE_HEAD "config %s\n", params->config != NULL ? params->config : "-");
}

/*
 * Lines "seen ...", an empty line, then postconf's own lines. False: not there or not valid any
 * more.
 */
static bool
cache_read(const struct mta_params *params, bool even_old, struct postfix_conf *conf)
{
	static const size_t size = 65536;
	char path[POSTFIX_PATH_MAX], head[POSTFIX_PATH_MAX + 64], *text, *line;
	bool valid = false;

	postfix_run_path(params, CACHE_NAME, path, sizeof path);
	cache_head(params, head, sizeof head);
	text = params->run_dir != NULL ? malloc(size) : NULL;
	if (text == NULL)
		return false;
	if (durable_read(path, text, size, NULL) == -1 || strncmp(text, head, strlen(head)) != 0)
		goto out;
	conf->seen.len = 0;
	for (line = text + strlen(head); *line != '\n'; line += strlen(line) + 1) {
		char *end = strchr(line, '\n');

		if (end == NULL || conf->seen.len == POSTFIX_SEEN_MAX)
			goto out;
		*end = '\0';
		if (!postfix_seen_parse(line, &conf->seen.file[conf->seen.len]))
			goto out;
		conf->seen.len++;
	}
	valid = conf->seen.len != 0 && (even_old || postfix_seen_changed(&conf->seen) == NULL) &&
	    postfix_conf_values(conf, line + 1, NULL);
out:
	free(text);
	return valid;
}

/* A cache that cannot be written costs time at the next call and nothing else. */
static void
cache_write(const struct mta_params *params, const struct postfix_conf *conf, const char *values)
{
	static const size_t size = 65536;
	char path[POSTFIX_PATH_MAX], head[POSTFIX_PATH_MAX + 64], *text;
	size_t len;

	if (params->run_dir == NULL || (text = malloc(size)) == NULL)
		return;
	postfix_run_path(params, CACHE_NAME, path, sizeof path);
	cache_head(params, head, sizeof head);
	len = (size_t)snprintf(text, size, "%s", head);
	for (size_t i = 0; i < conf->seen.len && len < size; i++)
		len += (size_t)postfix_seen_print(&conf->seen.file[i], text + len, size - len);
	if (len < size)
		len += (size_t)snprintf(text + len, size - len, "\n%s", values);
	if (len < size)
		durable_write(path, text, len, 0600, NULL);
	free(text);
}

static bool
read_anew(const struct mta_params *params, struct postfix_conf *conf, struct err *err)
{
	char *values = malloc(sizeof conf->text), path[POSTFIX_PATH_MAX];
	const char *postconf = postconf_path();
	bool ok = false;

	conf->seen.len = 0;
	if (values == NULL || postconf == NULL) {
		err_set(err, 0, "no postconf in /usr/sbin or /usr/local/sbin: is Postfix installed?");
		goto out;
	}
	/* Noted before they are read: a change in between must not pass as seen. The directory of a
	 * default configuration is known only afterwards, so it is asked a second time then. */
	for (int pass = 0; pass < 2; pass++) {
		const char *config = pass == 0 ? params->config : conf->value[PF_CONFIG_DIR];

		if (config != NULL) {
			conf->seen.len = 0;
			snprintf(path, sizeof path, "%s/main.cf", config);
			if (!postfix_see(&conf->seen, path, err))
				goto out;
			snprintf(path, sizeof path, "%s/master.cf", config);
			if (!postfix_see(&conf->seen, path, err) ||
			    !postfix_see(&conf->seen, postconf, err))
				goto out;
		}
		if (!ask_postconf(params->config, postconf, values, sizeof conf->text, err) ||
		    !postfix_conf_values(conf, values, err))
			goto out;
		if (params->config != NULL)
			break;
	}
	cache_write(params, conf, values);
	ok = true;
out:
	free(values);
	return ok;
}

/* "-" in the chroot column means yes below compatibility level 1. */
static bool
chroot_by_default(const struct postfix_conf *conf)
{
	return strtol(conf->value[PF_COMPAT], NULL, 10) < 1;
}

bool
postfix_conf_load_known(const struct mta_params *params, struct postfix_conf *ret, struct err *err)
{
	return cache_read(params, true, ret) || read_anew(params, ret, err);
}

bool
postfix_conf_load(const struct mta_params *params, struct postfix_conf *ret, struct err *err)
{
	static const size_t size = 262144;
	char path[POSTFIX_PATH_MAX], *text;
	struct err why = { 0 };
	bool ok = false;

	/* Callers hold it on their own stack and give up on failure: it may be half filled then. */
	if (!cache_read(params, false, ret) && !read_anew(params, ret, err))
		return false;
	snprintf(path, sizeof path, "%s/master.cf", ret->value[PF_CONFIG_DIR]);
	text = malloc(size);
	if (text == NULL)
		return err_set(err, 0, "out of memory");
	if (durable_read(path, text, size, &why) == -1)
		err_set(err, 0, "Postfix's services cannot be read: %s", why.text);
	else
		ok = postfix_conf_services(ret, text, chroot_by_default(ret), err);
	free(text);
	return ok;
}

int
postfix_conf_hash_depth(const struct postfix_conf *conf, const char *queue)
{
	const char *word = conf->value[PF_HASH_NAMES];

	while (*(word += strspn(word, ", \t")) != '\0') {
		size_t len = strcspn(word, ", \t");

		if (len == strlen(queue) && strncmp(word, queue, len) == 0)
			return (int)strtol(conf->value[PF_HASH_DEPTH], NULL, 10);
		word += len;
	}
	return 0;
}
