/*
 * supervisor/ctl_status.c - status, its live form top, and "services may-start".
 *
 * Runs in the program mailpair. The page itself is made by mailpaird (status_text.c,
 * status_json.c). top blocks for at most QUIET_MS where mailpaird does not answer.
 */
#include "supervisor/ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"

#define QUIET_MS 10000
#define TOP_QUIET_MS 2000
#define TOP_PERIOD_MS 1000

struct page {
	char	*text;
	size_t	 len;
	FILE	*file;		/* writes into text */
	FILE	*errors;
};

static void
page_line(void *arg, char kind, const char *text)
{
	struct page *page = arg;

	fprintf(kind == 'o' ? page->file : page->errors, "%s\n", text);
}

/* The page as text in memory, which the caller frees; -1: *err says why there is none. */
static int
fetch(
    const struct ctl *ctl, bool json, int quiet_ms, FILE *errors, char **ret_text, struct err *err)
{
	struct page page = { .errors = errors };
	struct ctl_request request;
	int code;

	page.file = open_memstream(&page.text, &page.len);
	if (page.file == NULL) {
		err_set(err, errno, "There is no memory for the page");
		return -1;
	}
	if (errors == NULL)
		page.errors = page.file;
	ctl_request(&request, "status");
	ctl_request_add(&request, "json", json ? "yes" : "no");
	code = ctl_talk(ctl, &request, quiet_ms, page_line, &page, err);
	fclose(page.file);
	if (code == -1)
		free(page.text);
	else
		*ret_text = page.text;
	return code;
}

/* So that a reader of JSON gets a document also where there is nobody to ask. */
static void
print_no_status(const char *why)
{
	char buf[2048];
	struct json j;

	json_init(&j, buf, sizeof(buf));
	json_object(&j, NULL);
	json_string(&j, "version", MAILPAIR_VERSION);
	json_bool(&j, "healthy", false);
	json_array(&j, "problems");
	json_string(&j, NULL, why);
	json_array_end(&j);
	json_array(&j, "advice");
	json_string(&j, NULL, "");
	json_array_end(&j);
	json_object_end(&j);
	json_finish(&j);
	fputs(buf, stdout);
}

int
ctl_status(const struct ctl *ctl)
{
	struct err err;
	char *text;
	int code = fetch(ctl, ctl->json, QUIET_MS, stderr, &text, &err);

	if (code == -1) {
		if (ctl->json)
			print_no_status(err.text);
		return ctl_fail(CTL_CANNOT, "%s", err.text);
	}
	fputs(text, stdout);
	free(text);
	return code;
}

/* ---------------------------------------------------------------- may-start */

/* Is there a line that begins so, and in it that text? Our own document has one top-level member a
 * line. */
static bool
line_has(const char *document, const char *begin, const char *text)
{
	const char *line = strstr(document, begin), *found;

	if (line == NULL)
		return false;
	found = strstr(line + strlen(begin), text);
	return found != NULL && found < line + strlen(begin) + strcspn(line + strlen(begin), "\n");
}

int
ctl_may_start(const struct ctl *ctl)
{
	struct err err = { .sys = 0 };
	bool active, mounted;
	char *text = NULL;
	int code = fetch(ctl, true, QUIET_MS, stderr, &text, &err);

	if (code != CTL_DONE && code != CTL_NO) {
		free(text);
		return ctl_fail(CTL_CANNOT,
		    "Mail must not be started by hand now, for nobody can say whether this "
		    "node owns the spool. %s",
		    err.text);
	}
	active = line_has(text, "\n  \"role\": ", "\"active\"");
	mounted = line_has(text, "\n  \"storage\": ", "\"mounted\": true");
	free(text);
	if (active && mounted)
		return CTL_DONE;
	return ctl_fail(CTL_NO,
	    "Mail must not be started by hand on this node: %s. mailpaird starts it where the "
	    "spool is; to move it here: mailpair switchover",
	    active ? "the spool is not mounted here" : "it is not the active node of its pair");
}

/* ---------------------------------------------------------------- top */

/* As many lines as the terminal has; each is wiped to its end, so that nothing flickers. */
static void
paint(const char *text, int rows)
{
	fputs("\033[H", stdout);
	for (int row = 1; row < rows && *text != '\0'; row++) {
		int len = (int)strcspn(text, "\n");

		printf("%.*s\033[K\r\n", len, text);
		text += len;
		text += *text == '\n';
	}
	fputs("\033[J\033[7m q ends \033[0m", stdout);
	fflush(stdout);
}

static void
paint_once(const struct ctl *ctl)
{
	struct winsize window = { .ws_row = 24 };
	struct err err;
	char *text;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == -1 || window.ws_row < 4)
		window.ws_row = 24;
	if (fetch(ctl, false, TOP_QUIET_MS, NULL, &text, &err) == -1) {
		fputs("\033[?7h", stdout);	/* one long sentence: wrap it */
		paint(err.text, window.ws_row);
		fputs("\033[?7l", stdout);
		return;
	}
	paint(text, window.ws_row);
	free(text);
}

/* True: the person, or a signal, wants to end. Returns after one period otherwise. */
static bool
wait_for_end(int signals)
{
	struct pollfd pfd[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN }, { .fd = signals, .events = POLLIN },
	};
	uint64_t end = clock_mono_ms() + TOP_PERIOD_MS, now;

	while ((now = clock_mono_ms()) < end) {
		char key;

		if (poll(pfd, 2, (int)(end - now)) <= 0)
			continue;
		if (pfd[1].revents != 0)
			return true;
		if (pfd[0].revents != 0 &&
		    (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
			return true;
	}
	return false;
}

int
ctl_top(const struct ctl *ctl)
{
	struct termios before, raw;
	sigset_t set;
	int signals;

	if (ctl->json)
		return ctl_status(ctl);
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    tcgetattr(STDIN_FILENO, &before) == -1)
		return ctl_fail(
		    CTL_CANNOT, "top needs a terminal; elsewhere use \"mailpair status\".");
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals == -1)
		return ctl_fail(CTL_CANNOT, "Signals cannot be waited for: %s.", strerror(errno));
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs("\033[?1049h\033[?25l\033[?7l", stdout);	/* other screen, no cursor, no wrapping */
	do
		paint_once(ctl);
	while (!wait_for_end(signals));
	fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	close(signals);
	return CTL_DONE;
}
