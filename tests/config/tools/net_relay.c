/*
 * tests/config/tools/net_relay.c - stands between two mailpair-config, for each of them the other one: what they say goes through, and is told.
 *
 *	net_relay AUTHKEYS ADDRESS-OF-MX1 ADDRESS PORT
 *
 * It connects to mx1, and listens on ADDRESS for mx2. Says "1 TYPE" and "2 TYPE" for each message of mx1 and mx2 (enum wire_type). On standard
 * input: "hold" keeps WIRE_NEWS of mx1 back, and what comes after it, until "pass"; "soon" says WIRE_SOON to mx2; from "spoil N" on, until "pass", one in N
 * messages of mx1, by chance, is another one by a byte, a piece or its type. Ends with its input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "configsync/net.h"
#include "configsync/net_child.h"
#include "configsync/wire.h"

struct waiting { struct waiting *next; uint8_t type; size_t len; uint8_t bytes[]; };

/* What one node says waits here until the other one can hear it. */
struct end {
	char		 number;
	struct end	*other;
	struct net	*net;
	bool		 up, held;
	struct waiting	*first, **last;
};

static unsigned long spoils;
static struct end end[2] = { { .number = '1', .other = &end[1] }, { .number = '2', .other = &end[0] } };
static struct loop *loop;

static void
pass(struct end *from)
{
	struct waiting *w;

	while (from->other->up && (w = from->first) != NULL && !(from->held && w->type == WIRE_NEWS) &&
	    net_send(from->other->net, w->type, w->bytes, w->len) == CHANNEL_SENT) {
		from->first = w->next;
		if (from->first == NULL)
			from->last = &from->first;
		free(w);
	}
}

/* What mx2 would hear of a mx1 that somebody else has got. */
static void
spoil(struct waiting *w)
{
	size_t at = w->len > 0 ? (size_t)random() % w->len : 0;

	switch (random() % 4) {
	case 0:
		w->type = (uint8_t)(WIRE_HELLO + random() % (WIRE_TYPE_END - WIRE_HELLO));
		break;
	case 1:
		w->len = at;
		break;
	case 2:
		for (size_t i = at; i < w->len && i < at + 8; i++)
			w->bytes[i] = (uint8_t)random();
		break;
	default:
		if (w->len > 0)
			w->bytes[at] ^= (uint8_t)(1 << random() % 8);
	}
}

static void
on_received(void *arg, uint8_t type, const uint8_t *bytes, size_t len)
{
	struct end *e = arg;
	struct waiting *w = malloc(sizeof *w + len);

	if (w == NULL)
		abort();
	*w = (struct waiting){ .type = type, .len = len };
	memcpy(w->bytes, bytes, len);
	if (e->last == NULL)
		e->last = &e->first;
	*e->last = w;
	e->last = &w->next;
	printf("%c %u\n", e->number, type);
	if (spoils > 0 && e == &end[0] && (unsigned long)random() % spoils == 0)
		spoil(w);
	pass(e);
}

static void
on_up(void *arg)
{
	struct end *e = arg;

	e->up = true;
	pass(e);
	pass(e->other);
}

static void
on_drained(void *arg)
{
	pass(((struct end *)arg)->other);
}

static void
on_down(void *arg, enum channel_why why, const char *sentence)
{
	struct end *e = arg;

	(void)why;
	e->up = false;
	for (int i = 0; i < 2; i++)
		while (end[i].first != NULL) {
			struct waiting *w = end[i].first;

			end[i].first = w->next;
			free(w);
		}
	end[0].last = end[1].last = NULL;
	if (e->other->up)
		net_drop(e->other->net, sentence);
}

static void
on_refused(void *arg, enum channel_why why, const char *sentence)
{
	(void)arg;
	if (why != CHANNEL_UNREACHABLE)
		fprintf(stderr, "%s\n", sentence);
}

static void
on_ended(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "%s\n", sentence);
}

static void
on_word(int fd, unsigned int ready, void *arg)
{
	char words[256];
	ssize_t n = read(fd, words, sizeof words - 1);

	(void)ready;
	(void)arg;
	if (n <= 0)
		exit(0);
	words[n] = '\0';
	for (char *save, *word = strtok_r(words, "\n", &save); word != NULL; word = strtok_r(NULL, "\n", &save)) {
		if (strcmp(word, "soon") == 0)
			net_send(end[1].net, WIRE_SOON, "", 0);
		else
			end[0].held = strcmp(word, "hold") == 0;
		spoils = strncmp(word, "spoil ", 6) == 0 ? strtoul(word + 6, NULL, 10) : strcmp(word, "pass") == 0 ? 0 : spoils;
		pass(&end[0]);
	}
}

int
main(int argc, char **argv)
{
	static const struct net_calls calls = { on_up, on_received, on_drained, on_down, on_refused, on_ended };
	struct conf_mistakes mistakes = { 0 };
	static struct authkeys keys;
	struct err err;

	if (argc == 2 && strcmp(argv[1], "net-child") == 0)
		return net_child_main();
	if (argc != 5 || !authkeys_load(argv[1], false, &keys, &mistakes))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	loop = loop_new();
	for (int i = 0; i < 2; i++) {
		struct net_setup setup = { .program = "/proc/self/exe", .subcommand = "net-child", .listen = i == 1, .pair = "mail", .service = "config",
			.node = i == 0 ? "mx2" : "mx1", .peer = i == 0 ? "mx1" : "mx2", .at = { { argv[2 + i], (uint16_t)strtoul(argv[4], NULL, 10) } }, .at_len = 1,
			.keys = &keys, .limits = { .message_max = WIRE_MAX }, .uid = 65534, .gid = 65534, .calls = &calls, .arg = &end[i] };

		if (!net_start(loop, &setup, &end[i].net, &err)) {
			fprintf(stderr, "%s\n", err.text);
			return 1;
		}
	}
	loop_io_new(loop, STDIN_FILENO, LOOP_READ, on_word, NULL);
	loop_run(loop);
	return 0;
}
