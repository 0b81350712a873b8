/*
 * tests/live/tools/fence_host.c - the fence agent of the live tests, by the fence-agents interface.
 *
 * Options come as key=value lines on standard input: action (default off), plug (the host), socket (where
 * its power controller, tests/live/tools/power.c, listens). The agent knows nothing: it passes the question on and
 * turns the answer into an exit code: 0 done or on, 2 off (status and monitor only), 1 everything else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct options { char action[32], plug[64], socket[100]; };

static void
take_option(struct options *o, char *line)
{
	char *value = strchr(line, '=');

	line[strcspn(line, "\r\n")] = '\0';
	if (*line == '#' || !value)
		return;
	*value++ = '\0';
	if (strcmp(line, "action") == 0 || strcmp(line, "option") == 0)
		snprintf(o->action, sizeof(o->action), "%s", value);
	else if (strcmp(line, "plug") == 0 || strcmp(line, "port") == 0)
		snprintf(o->plug, sizeof(o->plug), "%s", value);
	else if (strcmp(line, "socket") == 0)
		snprintf(o->socket, sizeof(o->socket), "%s", value);
}

static int
metadata(void)
{
	static const char *const actions[] = { "on", "off", "reboot", "status", "monitor", "metadata" };

	printf("<?xml version=\"1.0\" ?>\n"
	    "<resource-agent name=\"fence_host\" shortdesc=\"Power of a host of the live tests\">\n"
	    "<longdesc>Asks the power controller of the live tests.</longdesc>\n<parameters>\n"
	    "<parameter name=\"action\" unique=\"0\" required=\"1\"><content type=\"string\" default=\"off\"/></parameter>\n"
	    "<parameter name=\"plug\" unique=\"0\" required=\"1\"><content type=\"string\"/></parameter>\n"
	    "<parameter name=\"socket\" unique=\"0\" required=\"0\"><content type=\"string\" default=\"/run/bmc/socket\"/>"
	    "</parameter>\n</parameters>\n<actions>\n");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		printf("<action name=\"%s\" automatic=\"0\"/>\n", actions[i]);
	printf("</actions>\n</resource-agent>\n");
	return 0;
}

/* One question, one line of answer; an answer that never comes is the caller's time-out. */
static int
ask(const struct options *o, char *answer, size_t size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char question[128];
	size_t len = 0;
	ssize_t n;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", o->socket);
	if (fd == -1 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		fprintf(stderr, "fence_host: the controller at %s does not answer: %s\n",
		    o->socket, strerror(errno));
		return -1;
	}
	n = snprintf(question, sizeof(question), "%s %s\n", o->action, o->plug);
	if (write(fd, question, (size_t)n) != n)
		return -1;
	while (len < size - 1 && (n = read(fd, answer + len, size - 1 - len)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	if (len == 0)
		fprintf(stderr, "fence_host: the controller of %s hung up without an answer\n", o->plug);
	return len == 0 ? -1 : 0;
}

int
main(void)
{
	struct options o = { .action = "off", .socket = "/run/bmc/socket" };
	char line[512], answer[128];

	while (fgets(line, sizeof(line), stdin))
		take_option(&o, line);
	if (strcmp(o.action, "metadata") == 0)
		return metadata();
	if (o.plug[0] == '\0') {
		fprintf(stderr, "fence_host: option plug is missing\n");
		return 1;
	}
	if (ask(&o, answer, sizeof(answer)) == -1)
		return 1;
	if (strcmp(answer, "ok") == 0 || strcmp(answer, "on") == 0)
		return 0;
	if (strcmp(answer, "off") == 0)
		return 2;
	fprintf(stderr, "fence_host: %s\n", answer);
	return 1;
}
