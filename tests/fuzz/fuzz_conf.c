/*
 * tests/fuzz/fuzz_conf.c - any bytes as mailpair.conf: refused with a mistake or taken, never
 * worse. What the scan accepts, libconfuse must accept too. The file is a memfd, so that the way
 * through conf_load() is the real one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_mistakes m = {0};
	struct conf *conf = NULL;
	char path[64];
	int fd = memfd_create("conf", MFD_CLOEXEC);
	bool ok;

	if (fd == -1 || (size > 0 && write(fd, data, size) != (ssize_t)size))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok = conf_load(path, "mx1", &conf, &m);
	close(fd);
	if (ok != (m.len == 0) || ok != (conf != NULL))
		abort();
	for (size_t i = 0; i < m.len; i++)
		if (m.item[i].text[0] == '\0' || m.item[i].line < 0 ||
		    memchr(m.item[i].text, '\0', sizeof(m.item[i].text)) == NULL ||
		    strcmp(m.item[i].text, "the line cannot be read as a configuration") == 0)
			abort();
	conf_free(conf);
	conf_mistakes_free(&m);
	return 0;
}
