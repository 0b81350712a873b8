/*
 * common/log.h - log lines for operators: each has a subject, each is written once.
 *
 * Default sink: standard error; a line that it would have to wait for is lost, and counted with the next. A daemon replaces the
 * sink (log_to) by one that keeps lines meanwhile.
 * The only global state of common/: one process has one log.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

enum log_level { LOG_LVL_ERR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG, LOG_LVL_COUNT };

/* A sink gets one line without newline. It must not block and must not log. */
typedef void log_sink_f(void *arg, enum log_level, const char *line);

void	log_to(log_sink_f *, void *arg);	/* NULL: standard error again */
void	log_verbose(enum log_level least);	/* default LOG_LVL_INFO */

void	log_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* adds strerror(errno) */
void	log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* While starting, in main only: one line to the sink and exit(2). */
void	fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));	/* adds strerror(errno) */
void	fatalx(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
