/*
 * supervisor/ctl_local.c - commands that need no mailpaird: keygen, check, version.
 *
 * Runs in the program mailpair and blocks on disk. Keys go to standard output or into the named
 * file, never into an argument, a message or a log.
 */
#include "supervisor/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/digest.h"
#include "common/durable.h"
#include "common/json.h"

#define KEY_LEN 32
#define KEY_HEX (2 * KEY_LEN + 1)
#define AUTHKEYS_BYTES_MAX 65536

static void
print_document(struct json *j, const char *buf, size_t size)
{
	if (json_finish(j) < size)
		fputs(buf, stdout);
}

int
ctl_version(const struct ctl *ctl)
{
	char buf[128];
	struct json j;

	if (!ctl->json) {
		printf("mailpair %s\n", MAILPAIR_VERSION);
		return CTL_DONE;
	}
	json_init(&j, buf, sizeof(buf));
	json_object(&j, NULL);
	json_string(&j, "version", MAILPAIR_VERSION);
	json_object_end(&j);
	print_document(&j, buf, sizeof(buf));
	return CTL_DONE;
}

/* ---------------------------------------------------------------- keygen */

static void
fresh_key(char hex[KEY_HEX])
{
	uint8_t key[KEY_LEN];

	digest_random(key, sizeof(key));
	digest_hex(key, sizeof(key), hex);
	explicit_bzero(key, sizeof(key));
}

static int
keygen_print(const struct ctl *ctl)
{
	char hex[KEY_HEX], buf[512];
	struct stat st;
	struct json j;

	fresh_key(hex);
	if (ctl->json) {
		json_init(&j, buf, sizeof(buf));
		json_object(&j, NULL);
		json_int(&j, "auth", 1);
		json_int(&j, "id", 1);
		json_string(&j, "method", "sha256");
		json_string(&j, "key", hex);
		json_object_end(&j);
		print_document(&j, buf, sizeof(buf));
	} else {
		printf("# authkeys: the same on both nodes, readable by root alone\nauth 1\n1 "
		       "sha256 %s\n",
		    hex);
	}
	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		fputs("mailpair: The file that was just written can be read by others: chmod 600 "
		      "it.\n",
		    stderr);
	explicit_bzero(hex, sizeof(hex));
	explicit_bzero(buf, sizeof(buf));
	return CTL_DONE;
}

/* The lowest number that no key has; 0: all are taken. */
static int
free_id(const struct authkeys *keys)
{
	for (int id = 1; id <= AUTHKEYS_MAX; id++) {
		bool taken = false;

		for (size_t i = 0; i < keys->len; i++)
			taken = taken || keys->key[i].id == id;
		if (!taken)
			return id;
	}
	return 0;
}

static int
print_mistakes(const char *file, const struct conf_mistakes *mistakes, bool to_stderr)
{
	for (size_t i = 0; i < mistakes->len; i++) {
		FILE *out = to_stderr ? stderr : stdout;

		if (mistakes->item[i].line > 0)
			fprintf(out, "%s:%d: %s\n", file, mistakes->item[i].line,
			    mistakes->item[i].text);
		else
			fprintf(out, "%s: %s\n", file, mistakes->item[i].text);
	}
	return CTL_NO;
}

/* Append a key that is accepted and not yet used; all other lines stay as they are. */
static int
append_key(const struct ctl *ctl, const char *file, int id, int sending)
{
	char *text = calloc(1, AUTHKEYS_BYTES_MAX + 256), hex[KEY_HEX], buf[512];
	struct err err;
	struct json j;
	ssize_t len = text == NULL ? -1 : durable_read(file, text, AUTHKEYS_BYTES_MAX, &err);
	bool ok;

	if (len == -1) {
		free(text);
		return ctl_fail(CTL_CANNOT, "%s cannot be read%s%s.", file,
		    text == NULL ? "" : ": ", text == NULL ? "" : err.text);
	}
	fresh_key(hex);
	len += snprintf(text + len, 256, "%s%d sha256 %s\n",
	    len > 0 && text[len - 1] != '\n' ? "\n" : "", id, hex);
	ok = durable_write(file, text, (size_t)len, 0600, &err);
	explicit_bzero(text, (size_t)len);
	explicit_bzero(hex, sizeof(hex));
	free(text);
	if (!ok)
		return ctl_fail(CTL_CANNOT, "%s was not changed: %s.", file, err.text);
	if (ctl->json) {
		json_init(&j, buf, sizeof(buf));
		json_object(&j, NULL);
		json_string(&j, "file", file);
		json_int(&j, "auth", sending);
		json_int(&j, "id", id);
		json_string(&j, "method", "sha256");
		json_object_end(&j);
		print_document(&j, buf, sizeof(buf));
	}
	fprintf(stderr,
	    "Key %d was added to %s; key %d still signs. Next:\n"
	    "  1. put this file on the other node (mode 0600), and on both: mailpair reload\n"
	    "  2. on both nodes change its first line to \"auth %d\", then: mailpair reload\n"
	    "  3. when both use it, delete the line of key %d on both, then: mailpair reload\n",
	    id, file, sending, id, sending);
	return CTL_DONE;
}

int
ctl_keygen(const struct ctl *ctl)
{
	const char *file = ctl_option(ctl, "--add");
	struct conf_mistakes mistakes = { NULL, 0 };
	struct authkeys keys;
	int code, id, sending;

	if (file == NULL)
		return keygen_print(ctl);
	if (access(file, R_OK | W_OK) == -1)
		return ctl_fail(CTL_CANNOT, "%s cannot be changed: %s.", file, strerror(errno));
	if (!authkeys_load(file, true, &keys, &mistakes)) {
		code = print_mistakes(file, &mistakes, true);
		conf_mistakes_free(&mistakes);
		return code;
	}
	id = free_id(&keys);
	sending = keys.key[keys.sending].id;
	explicit_bzero(&keys, sizeof(keys));
	if (id == 0)
		return ctl_fail(CTL_NO,
		    "%s has %d keys, and more there cannot be: delete those that are no longer "
		    "used.",
		    file, AUTHKEYS_MAX);
	return append_key(ctl, file, id, sending);
}

/* ---------------------------------------------------------------- check */

static size_t
render_mistakes(const char *file, const struct conf_mistakes *mistakes, char *buf, size_t size)
{
	struct json j;

	json_init(&j, buf, size);
	json_object(&j, NULL);
	json_string(&j, "file", file);
	json_bool(&j, "valid", mistakes->len == 0);
	json_array(&j, "mistakes");
	for (size_t i = 0; i < mistakes->len; i++) {
		json_object(&j, NULL);
		if (mistakes->item[i].line > 0)
			json_int(&j, "line", mistakes->item[i].line);
		else
			json_null(&j, "line");
		json_string(&j, "text", mistakes->item[i].text);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j);
}

static int
report_mistakes(const struct ctl *ctl, const char *file, const struct conf_mistakes *mistakes)
{
	size_t len;
	char *buf;

	if (!ctl->json)
		return print_mistakes(file, mistakes, true);
	len = render_mistakes(file, mistakes, NULL, 0);
	buf = malloc(len + 1);
	if (buf == NULL)
		return ctl_fail(CTL_CANNOT, "There is not enough memory.");
	render_mistakes(file, mistakes, buf, len + 1);
	fputs(buf, stdout);
	free(buf);
	return CTL_NO;
}

int
ctl_check(const struct ctl *ctl)
{
	const char *file = ctl->conf != NULL ? ctl->conf : CTL_CONF;
	struct conf_mistakes mistakes = { NULL, 0 };
	struct authkeys keys;
	struct conf *conf = NULL;
	int code = CTL_DONE;

	if (access(file, R_OK) == -1)
		return ctl_fail(
		    CTL_CANNOT, "The configuration %s cannot be read: %s.", file, strerror(errno));
	if (!conf_load(file, ctl->node, &conf, &mistakes)) {
		code = report_mistakes(ctl, file, &mistakes);
	} else if (!authkeys_load(conf->authkeys, conf->allow_weak_auth, &keys, &mistakes)) {
		code = report_mistakes(ctl, conf->authkeys, &mistakes);
	} else {
		explicit_bzero(&keys, sizeof(keys));
		if (ctl->json)
			report_mistakes(ctl, file, &mistakes);
		else
			printf("%s is good: pair %s, this node is %s.\n", file, conf->pair,
			    conf->node[conf->self]);
	}
	conf_mistakes_free(&mistakes);
	if (conf != NULL)
		conf_free(conf);
	return code;
}
