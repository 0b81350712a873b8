/*
 * configsync/main_diff.c - diff: what is other about two versions. The lines are compared by diff(1), which is given both contents in
 * memory alone: nothing of a private key touches a disk.
 */
#include "configsync/main.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "configsync/plan.h"

#define DIFF_MAX (1u << 20)	/* of one comparison in a document */
#define LOOK_MAX 8192		/* bytes in which a NUL means that it is no text */

struct comparing {
	const struct wish *wish;
	struct store	*store;
	struct document	*document;
	int		 status;
	size_t		 n;
};

/* ---------------------------------------------------------------- the program */

static void __attribute__((noreturn))
become_diff(const int fd[2], const char *const label[2], int out)
{
	char path[2][32];
	const char *argv[] = { "diff", "-u", "--label", label[0], "--label", label[1], "--", path[0], path[1], NULL };

	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof path[i], fd[i] == -1 ? "/dev/null" : "/dev/fd/%d", fd[i]);
		if (fd[i] != -1)
			(void)fcntl(fd[i], F_SETFD, 0);
	}
	if (out != -1 && dup2(out, STDOUT_FILENO) == -1)
		_exit(127);
	setenv("LC_ALL", "C", 1);
	execvp(argv[0], (char *const *)(const void *)argv);
	_exit(127);
}

/* malloc'd; *ret_cut: there was more. */
static char *
take_output(int fd, bool *ret_cut)
{
	char *text = malloc(DIFF_MAX + 1);
	size_t len = 0;
	ssize_t n;

	if (text == NULL)
		abort();
	while ((n = read(fd, text + len, DIFF_MAX - len)) > 0 || (n == -1 && errno == EINTR))
		len += n > 0 ? (size_t)n : 0;
	*ret_cut = len == DIFF_MAX;
	text[len] = '\0';
	close(fd);
	return text;
}

/* fd -1: nothing was there. *ret NULL: it went to standard output. False with *err. */
static bool
run_diff(const int fd[2], const char *const label[2], char **ret, bool *ret_cut, struct err *err)
{
	int way[2] = { -1, -1 }, status = 0;
	pid_t pid;

	fflush(stdout);
	if (ret != NULL && pipe2(way, O_CLOEXEC) == -1)
		return err_set(err, errno, "cannot make a pipe");
	if ((pid = fork()) == 0)
		become_diff(fd, label, way[1]);
	if (ret != NULL) {
		close(way[1]);
		*ret = take_output(way[0], ret_cut);
	}
	if (pid == -1)
		return err_set(err, errno, "cannot start diff");
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	/* its own end where nobody wants more of it */
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE)
		return true;
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		return err_set(err, 0, WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "diff cannot be run: install diffutils" :
		    "diff has failed");
	return true;
}

/* ---------------------------------------------------------------- two versions */

static bool
has_content(const struct version *v)
{
	return v->entry != NULL && v->entry->type == ENTRY_FILE;
}

static bool
is_text(int fd)
{
	char bytes[LOOK_MAX];
	ssize_t n = fd == -1 ? 0 : pread(fd, bytes, sizeof bytes, 0);

	return n >= 0 && memchr(bytes, '\0', (size_t)n) == NULL;
}

static void
name_version(const struct version *v, const char *what, char *buf, size_t size)
{
	char path[SHOWN_MAX];

	if (v->number == 0)
		snprintf(buf, size, "none");
	else
		snprintf(buf, size, "%s %s%" PRIu64, shown(v->path, path, sizeof path), what, v->number);
}

static bool
open_contents(struct comparing *c, const struct version *const v[2], int fd[2], struct err *err)
{
	for (int i = 0; i < 2; i++) {
		if (!has_content(v[i]))
			continue;
		if (!v[i]->kept)
			return err_set(err, ENOENT, "the content of version %" PRIu64 " is not kept any more", v[i]->number);
		if ((fd[i] = store_read_fd(c->store, v[i]->entry->digest, err)) == -1)
			return false;
	}
	return true;
}

static void
result(struct comparing *c, const struct version *const v[2], const char *what, bool binary, const char *lines, bool cut)
{
	struct json *j = &c->document->json;

	json_object(j, NULL);
	version_json(j, "old", v[0]);
	version_json(j, "new", v[1]);
	json_string(j, "differs", what);
	json_bool(j, "binary", binary);
	json_string(j, "diff", lines);
	if (cut)
		json_bool(j, "cut", true);
	json_object_end(j);
}

/* One of them may be none. what: what stands in front of their numbers. */
static void
compare(struct comparing *c, const struct version *old, const struct version *new, const char *const side[2])
{
	const struct version *const v[2] = { old, new };
	char what[1024], path[SHOWN_MAX], name[2][SHOWN_MAX + 64], *lines = NULL;
	const char *const label[2] = { name[0], name[1] };
	bool other, binary = false, cut = false;
	struct err err = { 0 };
	int fd[2] = { -1, -1 };

	c->n++;
	plan_differences(old->entry, new->entry, what, sizeof what);
	other = (has_content(old) || has_content(new)) && !(has_content(old) && has_content(new) &&
	    memcmp(old->entry->digest, new->entry->digest, DIGEST_LEN) == 0);
	for (int i = 0; i < 2; i++)
		name_version(v[i], side[i], name[i], sizeof name[i]);
	if (!c->wish->json)
		printf("%s: %s\n", shown(new->number != 0 ? new->path : old->path, path, sizeof path), what);
	if (other && !open_contents(c, v, fd, &err)) {
		complain("%s", err.text);
		c->status = err.sys == ENOENT && c->status == EXIT_DONE ? EXIT_NO : EXIT_CANNOT;
	} else if (other && (binary = !is_text(fd[0]) || !is_text(fd[1]))) {
		if (!c->wish->json)
			puts("binary: its bytes are not shown");
	} else if (other && !run_diff(fd, label, c->wish->json ? &lines : NULL, &cut, &err)) {
		complain("%s", err.text);
		c->status = EXIT_CANNOT;
	}
	if (c->wish->json)
		result(c, v, what, binary, lines, cut);
	free(lines);
	for (int i = 0; i < 2; i++)
		if (fd[i] != -1)
			close(fd[i]);
}

static const char *const plain[2] = { "version ", "version " };

/* ---------------------------------------------------------------- which ones */

struct numbers { uint64_t *at; size_t len; char set[STORE_NAME_MAX]; };

static bool
note_number(void *arg, const struct store_version *v)
{
	struct numbers *n = arg;

	if ((n->at = realloc(n->at, (n->len + 1) * sizeof *n->at)) == NULL)
		abort();
	n->at[n->len++] = v->number;
	snprintf(n->set, sizeof n->set, "%s", v->set.name);
	return true;
}

/* Each version of a set with the one before it; false with *err. */
static bool
compare_set(struct comparing *c, const char *set, struct err *err)
{
	struct numbers n = { NULL, 0, "" };
	bool ok = store_history(c->store, NULL, set, SIZE_MAX, note_number, &n, err);

	if (ok && n.len == 0)
		ok = err_set(err, ENOENT, "no version of set %s is kept", set);
	while (ok && n.len > 0) {
		struct version new, old;
		char number[24];

		snprintf(number, sizeof number, "%" PRIu64, n.at[--n.len]);
		if (!(ok = version_find(c->store, number, &new, &old, err)))
			break;
		compare(c, &old, &new, plain);
		version_free(&new);
		version_free(&old);
	}
	free(n.at);
	return ok;
}

struct dispute { const char *path; uint64_t side[2]; };

static bool
note_dispute(void *arg, const struct store_conflict *found)
{
	struct dispute *d = arg;

	if (strcmp(found->path, d->path) != 0)
		return true;
	d->side[0] = found->mine;
	d->side[1] = found->theirs;
	return false;
}

/* By what an operator wrote, which may be two things. */
static bool
compare_two(struct comparing *c, const char *old, const char *new, const char *const side[2], struct err *err)
{
	struct version a, b;

	if (!version_find(c->store, old, &a, NULL, err))
		return false;
	if (!version_find(c->store, new, &b, NULL, err)) {
		version_free(&a);
		return false;
	}
	compare(c, &a, &b, side);
	version_free(&a);
	version_free(&b);
	return true;
}

static bool
compare_one(struct comparing *c, const char *what, struct err *err)
{
	static const char *const sides[2] = { "here, version ", "on the other node, version " };
	struct dispute d = { .path = what + strspn(what, "/") };
	struct version new, old;
	char number[2][24], path[ENTRY_PATH_MAX + 8];

	if (!store_conflicts(c->store, note_dispute, &d, err))
		return false;
	if (d.side[0] != 0) {
		for (int i = 0; i < 2; i++)
			snprintf(number[i], sizeof number[i], "%" PRIu64, d.side[i]);
		if (!c->wish->json)
			fprintf(stderr, "in conflict: what is here (-) and on the other node (+)\n");
		return compare_two(c, number[0], number[1], sides, err);
	}
	if (!version_find(c->store, what, &new, &old, err))
		return false;
	/* PATH@N: from then until now; the newest of it is PATH@0 */
	if (what[strspn(what, "0123456789")] != '\0' && strcmp(new.path, d.path) != 0) {
		version_free(&old);
		old = new;
		snprintf(path, sizeof path, "%s", old.path);
		if (!version_find(c->store, path, &new, NULL, err)) {
			version_free(&old);
			return false;
		}
	}
	compare(c, &old, &new, plain);
	version_free(&new);
	version_free(&old);
	return true;
}

static bool
compare_newest(struct comparing *c, struct err *err)
{
	struct numbers n = { NULL, 0, "" };
	bool ok = store_history(c->store, NULL, NULL, 1, note_number, &n, err);

	free(n.at);
	if (ok && n.len == 0)
		return err_set(err, ENOENT, "no version of any file is kept");
	return ok && compare_set(c, n.set, err);
}

int
main_diff(const struct wish *w)
{
	static struct document d;
	struct comparing c = { .wish = w, .document = &d };
	const char *first = w->operands > 0 ? w->operand[0] : NULL;
	struct err err = { 0 };
	bool ok;

	if (!main_store(w, &c.store))
		return EXIT_CANNOT;
	if (w->json) {
		document_begin(&d);
		json_array(&d.json, NULL);
	}
	if (first == NULL)
		ok = compare_newest(&c, &err);
	else if (w->operands == 2)
		ok = compare_two(&c, first, w->operand[1], plain, &err);
	else if (is_set_name(first))
		ok = compare_set(&c, first, &err);
	else
		ok = compare_one(&c, first, &err);
	if (w->json) {
		json_array_end(&d.json);
		document_end(&d);
	}
	store_close(c.store);
	if (ok)
		return c.status;
	complain("%s", err.text);
	return err.sys == ENOENT ? EXIT_NO : EXIT_CANNOT;
}
