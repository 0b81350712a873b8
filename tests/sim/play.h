/*
 * tests/sim/play.h - a play: the world of the simulator with a script in the place of chance, steered by lines on standard input.
 *
 * tests/scenario/virtual turns the statements of a scenario into these lines (play.c has the table), and judges by what comes back: the
 * production status document, what each machine holds, what the fence devices were asked, what the clients were told.
 *
 *   play.c          the lines, and time: on until something has changed
 *   play_deeds.c    what is done to the machines, their links and their surroundings
 *   play_fence.c    in the place of supervisor/fence_agent.c: devices that obey the script; how long workers take
 *   play_clients.c  mail clients with their ledger, the prober, and the messages on the disk
 *   play_serve.c    in the place of supervisor/control.c: requests of operators, status
 *   play_scribe.c   in the place of supervisor/scribe.c: what each node wrote down
 */
#ifndef TESTS_SIM_PLAY_H
#define TESTS_SIM_PLAY_H

#include <stdio.h>

#include "tests/sim/sim.h"

enum play_device { PLAY_WORKS, PLAY_DEAD, PLAY_HANGS, PLAY_LIES, PLAY_LATE, PLAY_DEVICES };

struct play_beat { int node, link; size_t len; uint8_t bytes[LINK_DATAGRAM_MAX]; };
#define PLAY_BEATS_MAX 512

struct play {
	FILE		*out;			/* replies; sim's own stdout is the trace */
	struct plan	plan;
	struct conf	*conf[NODES];		/* as read; the engine of a node may have a newer one */
	char		conf_file[256], dir[256];
	bool		liar;			/* a law may be broken, as the scenario says */
	bool		rang, news;		/* the awaited time has come; something that is not in the status has changed */
	size_t		alarm;
	/* surroundings */
	bool		deaf[NODES];		/* nothing goes in or out */
	bool		mute[NODES];		/* what it sends over the lan is lost */
	bool		unplugged[CONF_LINKS_MAX], carrier[CONF_LINKS_MAX];
	bool		refused[NODES][CONF_LINKS_MAX];	/* told already that nobody listens there */
	enum play_device device[NODES];		/* that switches this node */
	uint64_t	late_us[NODES];
	bool		unreachable[NODES][NODES];	/* of the second's, by the first */
	/* beats kept for later */
	struct play_beat beat[PLAY_BEATS_MAX];
	size_t		beats, beats_wanted;
	int		beats_of, beats_on;
};
extern struct play play;

#define SAY(...) fprintf(play.out, __VA_ARGS__)

/* A line cut into words, of which the last is the rest of the line. Writes lines "| TEXT"; false: *err says what is wrong. */
struct words { char *word[10]; size_t len; };
typedef bool play_f(const struct words *, struct err *);
struct play_verb { const char *name; size_t words; play_f *run; };
extern const struct play_verb play_deeds[], play_clients[], play_serves[], play_scribes[];	/* each ends with an empty one */

bool	play_number(const char *, uint64_t *ret, struct err *);
bool	play_node(const char *, struct node **ret, struct err *);
bool	play_link(const char *name, size_t *ret, struct err *);

/* play_deeds.c */
bool	play_sent(const struct link *, const uint8_t *bytes, size_t len);
void	play_power_changed(struct node *);

/* play_fence.c */
uint64_t play_takes(const struct spawn *);
void	play_fence_look(int node);		/* its device has changed: who waits for it goes on */
void	play_asked_print(void);			/* what was asked since the last call */

/* play_clients.c */
bool	play_clients_open(struct err *);
void	play_clients_tick(void);
bool	play_clients_flush(void);		/* true: they were told something since the last time */

/* play_scribe.c */
struct scribe *play_scribe(const struct node *);
void	play_journal(struct node *, const struct journal_event *);

/* play_serve.c */
void	play_serve_look(void);			/* clients whose daemon is gone */
bool	play_status_changed(int node);		/* in what a claim can ask for */

#endif
