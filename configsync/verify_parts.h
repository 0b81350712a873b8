/*
 * configsync/verify_parts.h - what the parts of verify share: one job in its worker. Everything here blocks.
 */
#ifndef CONFIGSYNC_VERIFY_PARTS_H
#define CONFIGSYNC_VERIFY_PARTS_H

#include "common/digest.h"
#include "common/spawn.h"
#include "configsync/verify.h"

struct check {
	const struct verify_job	*job;
	const struct view	*view;
	struct spawn_out	*report;
	char			 work[512];		/* below the scratch directory; what stands in it at work/PATH is called /PATH to people */
	uint64_t		 until_ms;		/* clock_mono_ms() */
	bool			 said;			/* a verdict that is not VALID */
	enum validity		 verdict;		/* what is reported at the end, and not before */
	char			 file[512], why[512];
	unsigned int		 line;
	char			 out[SPAWN_OUT_MAX + 1], err[SPAWN_OUT_MAX + 1];	/* of the last command */
};

/*
 * Gives the verdict with its sentence, in which work/ is taken out of all paths, and returns it. file is a path from the root, or
 * NULL. The first one that is not VALID stands.
 */
enum validity check_say(struct check *, enum validity, const char *file, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void	check_note(struct check *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Exit status, its output in out and err. -1: not started, ended by a signal or too late, said as UNKNOWN. env may be NULL. */
int	check_run(struct check *, const char *const *argv, const char *const *env);
/*
 * Judges what a program said on stderr, line by line: a line that names a place in a file, or is fatal, is INVALID; what tells of
 * this machine (no space) UNKNOWN; all else is a note. status other than 0 is INVALID in any case.
 */
enum validity check_complaints(struct check *, char *text, int status, const char *file);
/* "work/PATH"; false, said as UNKNOWN, where it is too long. */
bool	check_path(struct check *, const char *path, char *ret, size_t size);
bool	verify_find(struct check *, const char *path, char real[VIEW_PATH_MAX], enum fact *ret);	/* false: said as UNKNOWN */
/* Number of the line of file that begins with word and "="; 0: none. */
unsigned int check_line_of(const struct view *, const char *file, const char *word);

enum validity check_certificate(struct check *);
/* The key fits the certificate, both PEM; VALID says nothing. */
enum validity check_pair(struct check *, const char *cert, const char *key, char *ret_public, size_t size);
enum validity check_postfix(struct check *);
enum validity check_exim(struct check *);
enum validity check_qmail(struct check *);
enum validity check_aliases(struct check *);
enum validity check_tcprules(struct check *);
enum validity check_command(struct check *);

/* Postfix's table of source in format type, made in work, judged and dumped. config: directory for -c, or NULL. */
enum validity check_table(struct check *, const char *source, const char *type, bool alias, const char *config);
/* A table that is read as it is: regexp, pcre, cidr, texthash. */
enum validity check_plain_table(struct check *, const char *source, const char *type, const char *config);
/* Reports what the table of source says that is to be made; used: what the one in use says ("": it is half made), NULL: there is none to compare. */
void	check_report_rows(struct check *, const char *source, const char *type, const char made[DIGEST_HEX], const char used[DIGEST_HEX]);
/* Is there a table made of source here, with this suffix? */
bool	check_has_table(struct check *, const char *source, const char *suffix);

#endif
