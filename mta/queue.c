/*
 * mta/queue.c - the plain data of mta/queue.h: accounts by name, places of a layout, messages, a source
 * over memory. The accounts of this host are asked of the system, which may block; nothing else does.
 */
#include "mta/queue.h"

#include <assert.h>
#include <ctype.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/durable.h"
#include "common/need.h"

#define OWNERS_BYTES_MAX 65536
#define ENTRY_BYTES 16384	/* a line of passwd or group with all its members */

/* ---------------------------------------------------------------- accounts */

static bool
number_parse(const char *text, uint32_t *ret)
{
	uint64_t n = 0;

	if (*text == '\0' || strlen(text) > 10)
		return false;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	if (n >= QUEUE_ID_ANY)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool
account_add(struct queue_account *list, size_t *len, const char *name, uint32_t id, const char *where, int line,
    struct err *err)
{
	for (size_t i = 0; i < *len; i++)
		if (strcmp(list[i].name, name) == 0)
			return err_set(err, 0, "%s:%d: \"%s\" stands there already, with the number %" PRIu32, where, line,
			    name, list[i].id);
	if (*len == QUEUE_ACCOUNTS_MAX)
		return err_set(err, 0, "%s:%d: more than %d accounts of a kind", where, line, QUEUE_ACCOUNTS_MAX);
	memcpy(list[*len].name, name, strlen(name) + 1);
	list[(*len)++].id = id;
	return true;
}

/* Next word of the line, NUL-terminated in buf; "" at its end, false when it does not fit. */
static bool
word(const char **at, const char *end, char *buf, size_t size)
{
	size_t len = 0;

	while (*at < end && (**at == ' ' || **at == '\t' || **at == '\r'))
		(*at)++;
	while (*at < end && **at != ' ' && **at != '\t' && **at != '\r' && **at != '#') {
		if (len + 1 == size)
			return false;
		buf[len++] = *(*at)++;
	}
	buf[len] = '\0';
	return true;
}

static bool
owners_line(const char *at, const char *end, const char *where, int line, struct queue_owners *owners, struct err *err)
{
	char kind[16], name[sizeof owners->user[0].name], number[16], rest[2];
	uint32_t id;

	if (!word(&at, end, kind, sizeof kind))
		return err_set(err, 0, "%s:%d: a line is \"user NAME UID\" or \"group NAME GID\"", where, line);
	if (kind[0] == '\0')
		return true;
	if (strcmp(kind, "user") != 0 && strcmp(kind, "group") != 0)
		return err_set(err, 0, "%s:%d: \"%s\" is neither \"user\" nor \"group\"", where, line, kind);
	if (!word(&at, end, name, sizeof name) || name[0] == '\0')
		return err_set(err, 0, "%s:%d: behind \"%s\" a name of 1 to %zu characters is right", where, line, kind,
		    sizeof name - 1);
	if (!word(&at, end, number, sizeof number) || !number_parse(number, &id))
		return err_set(err, 0, "%s:%d: behind \"%s\" a number from 0 to 4294967294 is right", where, line, name);
	if (!word(&at, end, rest, sizeof rest) || rest[0] != '\0')
		return err_set(err, 0, "%s:%d: nothing may stand behind the number", where, line);
	if (kind[0] == 'u')
		return account_add(owners->user, &owners->users, name, id, where, line, err);
	return account_add(owners->group, &owners->groups, name, id, where, line, err);
}

bool
queue_owners_parse(const char *text, const char *where, struct queue_owners *ret, struct err *err)
{
	struct queue_owners owners = { 0 };
	int line = 1;

	for (; *text != '\0'; line++) {
		size_t len = strcspn(text, "\n");
		const char *comment = memchr(text, '#', len);

		if (!owners_line(text, comment != NULL ? comment : text + len, where, line, &owners, err))
			return false;
		text += len + (text[len] == '\n');
	}
	*ret = owners;
	return true;
}

bool
queue_owners_read(const char *path, struct queue_owners *ret, struct err *err)
{
	char *text = malloc(OWNERS_BYTES_MAX);
	ssize_t len;
	bool ok;

	if (text == NULL)
		return err_set(err, 0, "out of memory");
	len = durable_read(path, text, OWNERS_BYTES_MAX, err);
	if (len >= 0 && strlen(text) != (size_t)len)
		ok = err_set(err, 0, "%s: a NUL byte is in it; a text is right", path);
	else
		ok = len >= 0 && queue_owners_parse(text, path, ret, err);
	free(text);
	return ok;
}

static bool
account_find(const struct queue_account *list, size_t len, const char *name, uint32_t *ret)
{
	for (size_t i = 0; i < len; i++) {
		if (strcmp(list[i].name, name) == 0) {
			*ret = list[i].id;
			return true;
		}
	}
	return false;
}

bool
queue_uid(const struct queue_owners *owners, const char *user, uint32_t *ret)
{
	char buf[ENTRY_BYTES];
	struct passwd pw, *found = NULL;

	if (owners != NULL)
		return account_find(owners->user, owners->users, user, ret);
	if (getpwnam_r(user, &pw, buf, sizeof buf, &found) != 0 || found == NULL)
		return false;
	*ret = pw.pw_uid;
	return true;
}

bool
queue_gid(const struct queue_owners *owners, const char *group, uint32_t *ret)
{
	char buf[ENTRY_BYTES];
	struct group gr, *found = NULL;

	if (owners != NULL)
		return account_find(owners->group, owners->groups, group, ret);
	if (getgrnam_r(group, &gr, buf, sizeof buf, &found) != 0 || found == NULL)
		return false;
	*ret = gr.gr_gid;
	return true;
}

/* ---------------------------------------------------------------- layouts */

struct queue_place *
queue_place_add(struct queue_layout *layout, const char *path, uint8_t kind)
{
	struct queue_place *place;

	assert(layout->places < UINT16_MAX);
	layout->place = need(reallocarray(layout->place, layout->places + 1, sizeof *layout->place));
	place = &layout->place[layout->places++];
	*place = (struct queue_place){ .path = need(strdup(path)), .kind = kind, .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY };
	return place;
}

void
queue_layout_free(struct queue_layout *layout)
{
	for (size_t i = 0; i < layout->places; i++)
		free(layout->place[i].path);
	free(layout->place);
	free(layout->root);
	*layout = (struct queue_layout){ 0 };
}

/* Not by snprintf(3): this is done for every file. */
const char *
queue_path(const char *place, const char *sub, const char *name, char *buf, size_t size)
{
	const char *part[] = { place, sub, name };
	size_t len = 0;

	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(part[i]);

		if (len > 0 && n > 0 && len + 1 < size)
			buf[len++] = '/';
		if (n > size - 1 - len)
			n = size - 1 - len;
		memcpy(buf + len, part[i], n);
		len += n;
	}
	buf[len] = '\0';
	return buf;
}

const char *
queue_file_path(const struct queue_layout *layout, const struct queue_file *file, char *buf, size_t size)
{
	return queue_path(layout->place[file->place].path, file->sub, file->name, buf, size);
}

/* ---------------------------------------------------------------- bytes */

static ssize_t
memory_at(void *arg, void *buf, size_t len, uint64_t offset)
{
	const struct queue_memory *memory = arg;

	if (offset >= memory->len)
		return 0;
	if (len > memory->len - offset)
		len = memory->len - (size_t)offset;
	memcpy(buf, (const char *)memory->bytes + offset, len);
	return (ssize_t)len;
}

struct queue_source
queue_source_memory(struct queue_memory *memory)
{
	return (struct queue_source){ .at = memory_at, .arg = memory, .size = memory->len };
}

/* ---------------------------------------------------------------- messages */

void
queue_message_add(struct queue_message *message, const char *address, size_t len, bool done)
{
	/* Room is doubled; the count alone tells when: at each power of two. */
	size_t n = message->recipients;
	struct queue_recipient *last;

	if ((n & (n - 1)) == 0)
		message->recipient = need(reallocarray(message->recipient, n == 0 ? 1 : 2 * n, sizeof *message->recipient));
	last = &message->recipient[message->recipients++];
	last->address = need(malloc(len + 1));
	for (size_t i = 0; i < len; i++)
		last->address[i] = address[i] != '\0' ? address[i] : '?';
	last->address[len] = '\0';
	last->done = done;
}

void
queue_message_free(struct queue_message *message)
{
	for (size_t i = 0; i < message->recipients; i++)
		free(message->recipient[i].address);
	free(message->recipient);
	free(message->id);
	free(message->sender);
	*message = (struct queue_message){ 0 };
}

/* ---------------------------------------------------------------- locks */

void
queue_unlock(struct queue_lock *lock)
{
	while (lock->held > 0)
		close(lock->fd[--lock->held]);
}
