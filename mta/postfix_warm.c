/*
 * mta/postfix_warm.c - warms the page cache of a standby: programs, libraries, configuration,
 * maps. Runs in a worker; blocks while the disk reads. Nothing here can fail: a cold start is only
 * slower.
 */
#include "mta/postfix_warm.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/durable.h"
#include "common/spawn.h"

#define FILE_BYTES_MAX (64 << 20)
#define LDD_MS 2000

static size_t
warm_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t did = 0;

	if (fd == -1)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_BYTES_MAX)
		did = readahead(fd, 0, (size_t)st.st_size) == 0;
	close(fd);
	return did;
}

/* What the dynamic linker would load for this program: by its own account, as ldd(1) asks it. */
static size_t
warm_libraries(const char *program)
{
	const char *const argv[] = { program, NULL };
	const char *const env[] = { "LD_TRACE_LOADED_OBJECTS=1", NULL };
	const struct spawn_cmd cmd = { .argv = argv, .env = env };
	char out[8192] = "", *rest = out, *line;
	size_t n = 0;

	if (spawn_run(&cmd, LDD_MS, out, sizeof out, NULL, 0, NULL) != 0)
		return 0;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *path = strchr(line, '/');

		if (path == NULL)
			continue;
		path[strcspn(path, " ")] = '\0';
		n += warm_file(path);
	}
	return n;
}

/* Maps: every "type:/path" in main.cf, with the suffixes of the index files. */
static size_t
warm_maps(const struct postfix_conf *conf)
{
	static const char *const suffix[] = { "", ".db", ".cdb", ".lmdb", ".dir", ".pag" };
	static const size_t size = 262144;
	char path[2 * POSTFIX_PATH_MAX], *text = malloc(size), *p;
	size_t n = 0;

	if (text == NULL)
		return 0;
	snprintf(path, sizeof path, "%s/main.cf", conf->value[PF_CONFIG_DIR]);
	if (durable_read(path, text, size, NULL) == -1)
		text[0] = '\0';
	for (p = text; (p = strstr(p, ":/")) != NULL; ) {
		size_t len = strcspn(++p, ", \t\r\n");

		for (size_t i = 0; len < POSTFIX_PATH_MAX && i < sizeof suffix / sizeof suffix[0]; i++) {
			snprintf(path, sizeof path, "%.*s%s", (int)len, p, suffix[i]);
			n += warm_file(path);
		}
		p += len;
	}
	free(text);
	return n;
}

static size_t
warm_directory(const char *name, const char *ending)
{
	char path[2 * POSTFIX_PATH_MAX];
	DIR *dir = opendir(name);
	struct dirent *entry;
	size_t n = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (len < strlen(ending) || strcmp(entry->d_name + len - strlen(ending), ending) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
		n += warm_file(path);
	}
	if (dir != NULL)
		closedir(dir);
	return n;
}

size_t
postfix_warm(const struct postfix_conf *conf, uint64_t deadline_ms)
{
	static const char *const linked[] = { "master", "smtpd", "smtp" };
	char path[2 * POSTFIX_PATH_MAX];
	size_t n = 0;

	snprintf(path, sizeof path, "%s/master", conf->value[PF_DAEMON_DIR]);
	n += warm_file(path);
	for (size_t i = 0; i < conf->services; i++) {
		snprintf(path, sizeof path, "%s/%s", conf->value[PF_DAEMON_DIR],
		    conf->service[i].program);
		n += warm_file(path);
	}
	n += warm_directory(conf->value[PF_CONFIG_DIR], ".cf");
	if (conf->value[PF_SHLIB_DIR][0] == '/')
		n += warm_directory(conf->value[PF_SHLIB_DIR], ".so");
	n += warm_maps(conf);
	for (size_t i = 0; i < sizeof linked / sizeof linked[0] && clock_mono_ms() < deadline_ms; i++) {
		snprintf(path, sizeof path, "%s/%s", conf->value[PF_DAEMON_DIR], linked[i]);
		n += warm_libraries(path);
	}
	return n;
}
