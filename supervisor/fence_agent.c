/*
 * supervisor/fence_agent.c - find a fence agent, feed it its options on standard input, take its
 * answer.
 *
 * No argument is ever given: with one the agents do not read their input, and arguments stand in
 * the process list for all to see (S13). Leaves judging to fence_answer.c, order and retries to
 * fence.c. Runs in workers. Blocks for the device's timeout at most; then the agent is killed.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/fence_agent.h"

/* Beside PATH, which a daemon started at boot may have without the sbin directories. */
#define AGENT_DIRS "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"

static bool
agent_is_program(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return err_set(err, errno, "cannot find %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, 0, "%s is not a program", path);
	if (access(path, X_OK) == -1)
		return err_set(err, 0, "%s is not executable: set its mode to 0755", path);
	return true;
}

static bool
agent_find_in(const char *dirs, const char *name, char ret[PATH_MAX], struct err *err)
{
	size_t len;

	for (const char *dir = dirs; dir != NULL && *dir != '\0'; dir += len + (dir[len] == ':')) {
		char path[PATH_MAX];
		struct err why;

		len = strcspn(dir, ":");
		if (dir[0] != '/' || /* never from wherever we happen to stand */
		    snprintf(path, sizeof(path), "%.*s/%s", (int)len, dir, name) >= PATH_MAX)
			continue;
		if (agent_is_program(path, &why)) {
			memcpy(ret, path, sizeof(path));
			return true;
		}
		if (why.sys == 0 && err != NULL)
			*err = why; /* one that is there but unfit explains more than "not found" */
	}
	return false;
}

static bool
agent_find(const char *name, char ret[PATH_MAX], struct err *err)
{
	if (name[0] == '/') {
		if (snprintf(ret, PATH_MAX, "%s", name) >= PATH_MAX)
			return err_set(err, ENAMETOOLONG, "the agent's path");
		return agent_is_program(name, err);
	}
	if (name[0] == '\0' || strchr(name, '/') != NULL)
		return err_set(err, 0, "agent \"%s\" is neither a name nor an absolute path", name);
	err_set(err, 0, "agent %s is not installed (no such program in PATH or /usr/sbin)", name);
	return agent_find_in(getenv("PATH"), name, ret, err) ||
	       agent_find_in(AGENT_DIRS, name, ret, err);
}

static bool
option_is(const char *option, const char *key)
{
	size_t len = strlen(key);

	return strncasecmp(option, key, len) == 0 && option[len] == '=';
}

/* The lines for standard input; new memory. An option that would be two lines is refused. */
static bool
input_build(const struct conf *conf, const struct conf_fence *f, const char *action, char **ret,
    struct err *err)
{
	size_t len = strlen(action) + strlen(conf->node[f->node]) + 32, at;
	char *in;

	for (size_t i = 0; i < f->options_len; i++)
		len += strlen(f->options[i]) + 1;
	in = malloc(len);
	if (in == NULL)
		return err_set(err, ENOMEM, "no memory for the options");
	at = (size_t)snprintf(in, len, "nodename=%s\n", conf->node[f->node]);
	for (size_t i = 0; i < f->options_len; i++) {
		const char *option = f->options[i];

		/* "option" is the old name of "action"; whatever the file says, we say what is done
		 */
		if (option_is(option, "action") || option_is(option, "option"))
			continue;
		if (strpbrk(option, "\r\n") != NULL) {
			explicit_bzero(in, at);
			free(in);
			return err_set(err, 0, "its option \"%.*s\" has a line break",
			    (int)strcspn(option, "=\r\n"), option);
		}
		at += (size_t)snprintf(in + at, len - at, "%s\n", option);
	}
	snprintf(in + at, len - at, "action=%s\n", action);
	*ret = in;
	return true;
}

/* Where output was cut, half a secret may stand at its end, which no masking would find. */
static void
tail_drop(char *text, const struct conf_fence *f)
{
	size_t len = strlen(text), most = 0;

	if (len < SPAWN_OUT_MAX - 1)
		return;
	for (size_t i = 0; i < f->options_len; i++)
		if (strlen(f->options[i]) > most)
			most = strlen(f->options[i]);
	text[len > most ? len - most : 0] = '\0';
}

/* Run it. False: no exit status, and *err; what it printed is in out and errout, masked, all the
 * same. */
static bool
agent_run(const char *path, const char *in, const struct conf_fence *f, char *out, char *errout,
    int *ret_code, struct err *err)
{
	const char *argv[] = {path, NULL};
	struct spawn_cmd cmd = {.argv = argv, .in = in};
	int code;

	out[0] = errout[0] = '\0';
	code = spawn_run(&cmd, f->timeout_ms, out, SPAWN_OUT_MAX, errout, SPAWN_OUT_MAX, err);
	tail_drop(out, f);
	tail_drop(errout, f);
	fence_mask(out, f);
	fence_mask(errout, f);
	if (code == -1)
		return false;
	*ret_code = code;
	return true;
}

struct buffers {
	char out[SPAWN_OUT_MAX], errout[SPAWN_OUT_MAX];
};

static void
call(const struct conf *conf, const struct conf_fence *f, const char *action,
    struct fence_reply *ret, struct buffers *buf)
{
	uint64_t start = clock_mono_ms();
	char path[PATH_MAX], *in = NULL;
	struct err why;

	memset(ret, 0, sizeof(*ret));
	buf->out[0] = buf->errout[0] = '\0';
	if (!agent_find(f->agent, path, &why) || !input_build(conf, f, action, &in, &why)) {
		fence_sentence(ret->sentence, why.text, "", false);
		return;
	}
	ret->started = true;
	ret->ended = agent_run(path, in, f, buf->out, buf->errout, &ret->code, &why);
	ret->took_ms = (uint32_t)(clock_mono_ms() - start);
	explicit_bzero(in, strlen(in));
	free(in);
	if (!ret->ended) {
		fence_mask(why.text, f);
		fence_sentence(ret->sentence, why.text, "", false);
		return;
	}
	if (strcmp(action, "status") == 0)
		ret->power = fence_answer_power(ret->code, buf->out, buf->errout);
	fence_sentence(
	    ret->sentence, buf->out, buf->errout, ret->code != 0 && ret->power == FACT_UNKNOWN);
	if (ret->sentence[0] == '\0')
		snprintf(ret->sentence, sizeof(ret->sentence), "exit status %d without a word",
		    ret->code);
}

void
fence_agent_call(const struct conf *conf, const struct conf_fence *f, const char *action,
    struct fence_reply *ret)
{
	struct buffers *buf = malloc(sizeof(*buf));

	if (buf == NULL) {
		memset(ret, 0, sizeof(*ret));
		snprintf(ret->sentence, sizeof(ret->sentence), "no memory for its output");
		return;
	}
	call(conf, f, action, ret, buf);
	free(buf);
}

enum fact
fence_agent_offers(const struct conf *conf, const struct conf_fence *f, const char *action)
{
	struct buffers *buf = malloc(sizeof(*buf));
	enum fact offers = FACT_UNKNOWN;
	struct fence_reply reply;

	if (buf == NULL)
		return FACT_UNKNOWN;
	call(conf, f, "metadata", &reply, buf);
	if (reply.ended && reply.code == 0)
		offers = fence_metadata_offers(buf->out, action);
	free(buf);
	return offers;
}
