/*
 * supervisor/main.c - the program mailpaird: options, files, privileges, signals, and the parts put together. No logic: what
 * to do stands in fsm.c and the engine. The keeper (keeper.c) is the outer process, supervise() below the inner one.
 * Blocks only before the loop runs (configuration, state file) and in a reload, which a worker has tried before.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/digest.h"
#include "common/durable.h"
#include "common/log.h"
#include "supervisor/config_child.h"
#include "supervisor/control.h"
#include "supervisor/engine.h"
#include "supervisor/keeper.h"
#include "supervisor/notify.h"
#include "supervisor/scribe.h"
#include "supervisor/serve.h"
#include "supervisor/upkeep.h"

#define CONF_FILE "/etc/mailpair/mailpair.conf"
#define RT_PRIORITY 20		/* above everything ordinary, below the kernel's own threads */
#define OOM_ADJUST "-900"

struct daemon {
	const char	*file, *node;
	bool		 foreground;
	char		*const *argv;
	struct conf	*conf;
	struct authkeys	 keys;
	struct loop	*loop;
	struct scribe	*scribe;
	struct upkeep	 upkeep;
	struct control	*control;
	struct engine	*engine;
	struct serve	 serve;
	struct config_child *config;
	struct engine_watcher roles;	/* for it */
	char		 config_program[512];
	struct loop_io	*keeper_io;
	int		 keeper_fd, lock_fd, exit_code;
	struct loop_timer *watchdog;
	struct client	*reloading;
	bool		 reload_runs, reload_json;
};

/* ---------------------------------------------------------------- configuration */

static void
print_mistakes(const char *file, const struct conf_mistakes *m)
{
	for (size_t i = 0; i < m->len; i++) {
		if (m->item[i].line > 0)
			fprintf(stderr, "%s:%d: %s\n", file, m->item[i].line, m->item[i].text);
		else
			fprintf(stderr, "%s: %s\n", file, m->item[i].text);
	}
}

/* Everything a start needs to read. On failure the mistakes are on stderr. */
static bool
read_all(const char *file, const char *node, struct conf **ret_conf, struct authkeys *ret_keys)
{
	struct conf_mistakes m = { NULL, 0 };
	struct conf *conf;
	bool ok;

	ok = conf_load(file, node, &conf, &m);
	print_mistakes(file, &m);
	conf_mistakes_free(&m);
	if (!ok)
		return false;
	ok = authkeys_load(conf->authkeys, conf->allow_weak_auth, ret_keys, &m);
	print_mistakes(conf->authkeys, &m);
	conf_mistakes_free(&m);
	if (!ok)
		conf_free(conf);
	else
		*ret_conf = conf;
	return ok;
}

/* ---------------------------------------------------------------- reload */

struct reload_ctx {
	const char *file, *node;
	const struct conf *old;
};

/* In a worker: read and judge everything without touching the daemon; the error is the first mistake. */
static bool
reload_try(const void *arg, struct spawn_out *out, struct err *err)
{
	const struct reload_ctx *ctx = arg;
	struct conf_mistakes m = { NULL, 0 };
	struct authkeys keys;
	struct conf *conf = NULL;
	const char *file = ctx->file;
	bool ok = conf_load(file, ctx->node, &conf, &m);

	if (ok) {
		file = conf->authkeys;
		ok = authkeys_load(file, conf->allow_weak_auth, &keys, &m);
	}
	for (size_t i = 0; i < m.len; i++) {
		if (m.item[i].line > 0)
			spawn_say(out, "mistake", "%s:%d: %s", file, m.item[i].line, m.item[i].text);
		else
			spawn_say(out, "mistake", "%s: %s", file, m.item[i].text);
	}
	if (!ok)
		return err_set(err, 0, "%s has %zu mistake%s", file, m.len, m.len == 1 ? "" : "s");
	return conf_can_reload(ctx->old, conf, err);
}

static void
reload_answer(struct daemon *d, bool ok, const char *text, const char *mistakes)
{
	struct client *cl = d->reloading;

	d->reload_runs = false;
	d->reloading = NULL;
	if (ok)
		log_info("%s", text);
	else
		log_warnx("%s", text);
	if (cl == NULL)
		return;
	if (!d->reload_json && mistakes[0] != '\0')
		client_errf(cl, "%s", mistakes);
	serve_answer(cl, d->reload_json, ok ? 0 : 1, mistakes, text);
}

/* The mistakes that the worker found, one a line; the log has them as well, since a SIGHUP has nobody to tell. */
static void
reload_mistakes(const char *report, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (const char *line = report; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		int n, width = (int)strcspn(line, "\n");

		if (strncmp(line, "mistake ", 8) != 0)
			continue;
		log_warnx("%.*s", width - 8, line + 8);
		n = snprintf(buf + len, size - len, "%s%.*s", len > 0 ? "\n" : "", width - 8, line + 8);
		if (n < 0 || (size_t)n >= size - len) {
			buf[len] = '\0';
			return;
		}
		len += (size_t)n;
	}
}

static void
reload_tried(void *arg, const struct spawn_result *res)
{
	struct daemon *d = arg;
	struct conf_mistakes m = { NULL, 0 };
	struct authkeys keys;
	struct conf *conf, *old = d->conf;
	char text[900], mistakes[8192];

	reload_mistakes(res->out, mistakes, sizeof(mistakes));
	if (res->end != SPAWN_EXITED || res->code != 0) {
		snprintf(text, sizeof(text), "the new configuration is refused, the old one stays: %s",
		    res->end == SPAWN_TIMEOUT ? "reading it took too long" : res->err.text);
		reload_answer(d, false, text, mistakes);
		return;
	}
	/* just read by the worker, so it comes from memory */
	if (!conf_load(d->file, d->node, &conf, &m) || !authkeys_load(conf->authkeys, conf->allow_weak_auth, &keys, &m) ||
	    !conf_can_reload(old, conf, NULL)) {
		conf_mistakes_free(&m);
		reload_answer(d, false, "the new configuration changed while it was read; the old one stays: try again", "");
		return;
	}
	d->conf = conf;
	d->keys = keys;
	engine_reconf(d->engine, conf, &keys);
	scribe_conf(d->scribe, conf);
	upkeep_conf(&d->upkeep, conf);
	config_child_conf(d->config, conf);
	/* the old one stays in memory: a worker, a status or a name may still point into it */
	reload_answer(d, true, "the new configuration is in force", "");
}

static void
reload_begin(void *arg, struct client *cl, bool json)
{
	struct daemon *d = arg;
	struct reload_ctx ctx = { .file = d->file, .node = d->node, .old = d->conf };

	if (d->reload_runs) {
		if (cl != NULL)
			serve_answer(cl, json, 1, NULL, "a reload is under way already");
		return;
	}
	d->reload_runs = true;
	d->reloading = cl;
	d->reload_json = json;
	(void)spawn_work(d->loop, "reload", reload_try, &ctx, d->conf->mount_ms, reload_tried, d);
}

/* ---------------------------------------------------------------- signals and the end */

static void
got_signal(int signo, void *arg)
{
	struct daemon *d = arg;

	switch (signo) {
	case SIGTERM:
		notify_send("STOPPING=1\nSTATUS=releasing\nEXTEND_TIMEOUT_USEC=120000000");
		(void)engine_op_leave(d->engine);
		break;
	case SIGHUP:
		reload_begin(d, NULL, false);
		break;
	case SIGUSR2:
		log_info("told to start again from the program file; what runs goes on");
		d->exit_code = KEEPER_AGAIN;
		loop_stop(d->loop);
		break;
	default:
		break;
	}
}

static void
engine_ended(void *arg)
{
	struct daemon *d = arg;

	loop_stop(d->loop);
}

static int supervise(void *arg, int keeper_fd);

/* The keeper is gone. Under systemd it is started anew by that; elsewhere we do it. */
static void
keeper_gone(int fd, unsigned int ready, void *arg)
{
	struct daemon *d = arg;

	(void)ready;
	loop_io_free(d->keeper_io);
	d->keeper_io = NULL;
	close(fd);
	d->keeper_fd = -1;
	log_warnx("mailpaird's keeper process was ended; the supervisor goes on%s", notify_present() ? "" : " and starts another");
	if (notify_present())
		return;
	d->keeper_fd = keeper_renew(d->conf->run_dir, supervise, d, d->argv);
	if (d->keeper_fd != -1)
		d->keeper_io = loop_io_new(d->loop, d->keeper_fd, LOOP_READ, keeper_gone, d);
}

/* ---------------------------------------------------------------- privileges and files */

static void
be_steady(void)
{
	struct sched_param sp = { .sched_priority = RT_PRIORITY };
	FILE *f;

	/* children start as ordinary processes: SCHED_RESET_ON_FORK */
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &sp) == -1)
		log_info("no real-time priority: %s; a busy machine may delay heartbeats", strerror(errno));
	/* what is used stays in memory; what is not used is not fetched */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == -1)
		log_info("memory is not locked: %s; a short machine may delay heartbeats", strerror(errno));
	f = fopen("/proc/self/oom_score_adj", "we");
	if (f != NULL) {
		fputs(OOM_ADJUST, f);
		fclose(f);
	}
}

/*
 * Which boot this is: the kernel's boot id with the start of process 1, since a container's restart is a boot as well.
 * As hex, and the same for all processes of the boot.
 */
static void
boot_identity(char *buf, size_t size)
{
	char id[64] = "", line[1024] = "", text[1200];
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX];
	const char *p;
	FILE *f;

	f = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (f != NULL) {
		if (fgets(id, sizeof(id), f) == NULL)
			id[0] = '\0';
		fclose(f);
	}
	f = fopen("/proc/1/stat", "re");
	if (f != NULL) {
		if (fgets(line, sizeof(line), f) == NULL)
			line[0] = '\0';
		fclose(f);
	}
	/* field 22, counted behind the command's closing parenthesis, is the start time */
	p = strrchr(line, ')');
	for (int field = 2; p != NULL && field < 22; field++)
		p = strchr(p + 1, ' ');
	snprintf(text, sizeof(text), "%s %.*s", id, p != NULL ? (int)strcspn(p + 1, " ") : 0, p != NULL ? p + 1 : "");
	digest_sha256(text, strlen(text), digest);
	snprintf(buf, size, "%.32s", digest_hex(digest, sizeof(digest), hex));
}

static bool
make_dir(const char *path, mode_t mode, struct err *err)
{
	char part[512];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return err_set(err, ENAMETOOLONG, "%s", path);
	for (char *p = part + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, c == '\0' ? mode : 0755) == -1 && errno != EEXIST)
			return err_set(err, errno, "cannot make directory %s", part);
		*p = c;
		if (c == '\0')
			return true;
	}
}

/* ---------------------------------------------------------------- the supervisor process */

static void
journal_event(void *arg, const struct journal_event *ev)
{
	struct daemon *d = arg;

	scribe_event(d->scribe, ev);
}

static void
alarm_given(void *arg, const char *text)
{
	struct daemon *d = arg;

	engine_alarm(d->engine, text);
}

static void
journal_tried(void *arg, const char *report)
{
	struct daemon *d = arg;

	upkeep_learn(&d->upkeep, report);
}

static void
watchdog_fired(void *arg)
{
	struct daemon *d = arg;

	notify_send("WATCHDOG=1\nSTATUS=%s, tenure %llu", role_name(d->engine->role), (unsigned long long)d->engine->state.tenure);
	loop_timer_in(d->watchdog, notify_watchdog_ms());
}

static void
no_line(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void
tell_role(void *arg)
{
	struct daemon *d = arg;

	config_child_role(d->config, role_name(d->engine->role), d->engine->state.tenure);
}

/* The program beside this one: an upgrade puts both. */
static void
config_begin(struct daemon *d)
{
	const char *slash = strrchr(d->argv[0], '/');

	snprintf(d->config_program, sizeof(d->config_program), "%.*smailpair-config", slash != NULL ? (int)(slash + 1 - d->argv[0]) : 0, d->argv[0]);
	d->config = config_child_new(d->loop, d->config_program, d->file, NULL, alarm_given, d);
	d->serve.config = d->config;
	d->roles = (struct engine_watcher){ .line = no_line, .role = tell_role, .arg = d };
	engine_watch(d->engine, &d->roles);
	tell_role(d);
	config_child_conf(d->config, d->conf);
}

static bool
open_all(struct daemon *d, struct state *state, struct err *err)
{
	struct engine_sink sink = { .journal = journal_event, .tried = journal_tried, .exit = engine_ended, .arg = d };
	char path[512], boot[64];

	if (!state_load(d->conf->state_dir, state, err))
		return false;
	snprintf(path, sizeof(path), "%s/control.sock", d->conf->run_dir);
	boot_identity(boot, sizeof(boot));
	d->engine = calloc(1, sizeof(*d->engine));
	if (d->engine == NULL)
		return err_set(err, errno, "mailpaird");
	d->serve = (struct serve){ .engine = d->engine, .reload = reload_begin, .reload_arg = d, .upkeep = &d->upkeep };
	d->control = control_new(d->loop, path, d->conf->group, serve_request, &d->serve, err);
	if (d->control == NULL)
		return false;
	engine_init(d->engine, d->loop, d->conf, &d->keys, &edge_real, &sink, state, boot);
	return true;
}

static int
supervise(void *arg, int keeper_fd)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGUSR2 };
	struct loop_signal *handlers[3];
	struct daemon *d = arg;
	struct state state;
	struct err err;

	d->keeper_fd = keeper_fd;
	d->exit_code = KEEPER_END;
	prctl(PR_SET_NAME, "mailpaird");
	signal(SIGPIPE, SIG_IGN);
	if (!keeper_lock(d->conf->run_dir, &d->lock_fd, &err)) {
		if (err.sys == EWOULDBLOCK)
			return KEEPER_LOCKED;
		log_err("%s", err.text);
		return 2;
	}
	be_steady();
	d->loop = loop_new();
	d->scribe = scribe_new(d->loop, d->conf, upkeep_told, &d->upkeep);
	log_to(scribe_log, d->scribe);
	if (!open_all(d, &state, &err)) {
		log_err("%s", err.text);
		fprintf(stderr, "mailpaird: %s\n", err.text);
		scribe_free(d->scribe);
		return 2;
	}
	for (int i = 0; i < 3; i++)
		handlers[i] = loop_signal_new(d->loop, signals[i], got_signal, d);
	d->keeper_io = loop_io_new(d->loop, keeper_fd, LOOP_READ, keeper_gone, d);
	if (notify_watchdog_ms() != 0) {
		d->watchdog = loop_timer_new(d->loop, watchdog_fired, d);
		loop_timer_in(d->watchdog, 0);
	}
	upkeep_init(&d->upkeep, d->scribe, d->conf, alarm_given, d);
	engine_start(d->engine);
	config_begin(d);
	notify_send("READY=1\nSTATUS=joining");
	loop_run(d->loop);

	for (int i = 0; i < 3; i++)
		loop_signal_free(handlers[i]);
	control_free(d->control);
	engine_unwatch(d->engine, &d->roles);
	config_child_free(d->config);
	engine_fini(d->engine);
	scribe_free(d->scribe);
	log_to(NULL, NULL);
	return d->exit_code;
}

/* ---------------------------------------------------------------- options */

/* Where the program file stands: by path, since an upgrade puts another file there. */
static char *
own_path(char *given)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0 || path[0] != '/')
		return given;
	path[n] = '\0';
	return path;
}

static void
usage(void)
{
	fputs("usage: mailpaird [-ftv] [-c FILE] [--node NAME]\n"
	    "  -f           stay in the foreground\n"
	    "  -t           check the configuration, print every mistake, and end\n"
	    "  -c FILE      the configuration (" CONF_FILE ")\n"
	    "  --node NAME  which of its nodes this one is (by default the host name tells)\n"
	    "  -v           log more\n", stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "node", required_argument, NULL, 'n' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 } };
	struct daemon d = { .file = CONF_FILE, .argv = argv, .keeper_fd = -1, .lock_fd = -1 };
	bool test = false;
	struct err err;
	int ch;

	while ((ch = getopt_long(argc, argv, "fthvVc:", options, NULL)) != -1) {
		switch (ch) {
		case 'f': d.foreground = true; break;
		case 't': test = true; break;
		case 'c': d.file = optarg; break;
		case 'n': d.node = optarg; break;
		case 'v': log_verbose(LOG_LVL_DEBUG); break;
		case 'V': puts("mailpaird " MAILPAIR_VERSION); return 0;
		default: usage();
		}
	}
	if (optind != argc)
		usage();
	if (!read_all(d.file, d.node, &d.conf, &d.keys))
		return test ? 1 : 2;
	if (test) {
		printf("%s: no mistakes; this node is %s of pair %s\n", d.file, d.conf->node[d.conf->self], d.conf->pair);
		return 0;
	}
	argv[0] = own_path(argv[0]);
	if (geteuid() != 0)
		fatalx("mailpaird must run as root: it mounts, fences and sets addresses");
	if (!make_dir(d.conf->run_dir, 0755, &err) || !make_dir(d.conf->state_dir, 0750, &err))
		fatalx("%s", err.text);
	if (!d.foreground && daemon(0, 0) == -1)
		fatal("cannot go into the background");
	return keeper_run(d.conf->run_dir, supervise, &d, 0, argv);
}
