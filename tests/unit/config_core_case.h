/*
 * tests/unit/config_core_case.h - for tests of configsync/core.h: two cores that talk, and files of one letter.
 */
#ifndef TESTS_UNIT_CONFIG_CORE_CASE_H
#define TESTS_UNIT_CONFIG_CORE_CASE_H

#include "tests/unit/harness.h"

#include "configsync/core_priv.h"
#include "tests/unit/config_toy.h"

static const struct core_origin somebody = { .name = "1", .node = "alpha" };

static inline struct core *
core_of(const char *self, const char *peer, uint8_t scope)
{
	return core_new(&(struct core_options){ .self = self, .peer = peer, .epoch = 1, .both_write = true, .scope_digest = { scope } });
}

static inline size_t
drain(struct core *c, enum core_action_type type, const struct core_action **ret)
{
	const struct core_action *a;
	size_t n = 0;

	while ((a = core_action_next(c)) != NULL) {
		if (a->type == type) {
			n++;
			if (ret != NULL)
				*ret = a;
		}
	}
	return n;
}

/* What has to be put in place now: the number of that job. */
static inline uint64_t
job_to_install(struct core *c)
{
	const struct core_action *a;
	uint64_t job = 0;

	while ((a = core_action_next(c)) != NULL)
		job = a->type == CORE_INSTALL ? a->job.id : job;
	ck_assert_uint_ne(job, 0);
	return job;
}

static struct core_job verifying;	/* the last one that was to be judged; only numbers in it live on */

/* What one says is given to the other, until both are silent. */
static inline void
talk(struct core *a, struct core *b)
{
	struct core *c[2] = { a, b };
	bool more = true;

	while (more) {
		more = false;
		for (int i = 0; i < 2; i++) {
			const struct core_action *act;

			while ((act = core_action_next(c[i])) != NULL) {
				struct wire w;
				uint8_t *bytes;
				size_t len;

				if (act->type == CORE_VERIFY)
					verifying = act->job;
				if (act->type != CORE_SEND)
					continue;
				bytes = wire_encode(&act->wire, &len);
				ck_assert(wire_parse(&w, (uint8_t)act->wire.type, bytes, len, NULL));
				core_wire(c[!i], &w, 5, 5);
				wire_free(&w);
				free(bytes);
				more = true;
			}
		}
	}
}

/* Files: names and contents of one letter each. */
static inline struct manifest *
letters(const char *names, const uint64_t *ino, const char *content)
{
	struct manifest *m = manifest_new();

	for (size_t i = 0; names[i] != '\0'; i++) {
		struct entry e = { .path = (char[]){ names[i], '\0' }, .type = ENTRY_FILE, .mode = 0644, .size = 1, .user.name = "root",
			.group.name = "root", .local = { .dev = 1, .ino = ino[i], .links = 1 } };

		for (size_t k = 0; names[k] != '\0'; k++)
			e.local.links += k != i && ino[k] == ino[i];
		e.digest[0] = (uint8_t)content[i];
		manifest_add(m, &e);
	}
	return toy_sealed(m);
}

static inline void
read_into(struct core *c, const char *names, const uint64_t *ino, const char *content)
{
	struct core_looked looked[3];
	struct manifest *m = letters(names, ino, content);
	size_t n = 0;

	for (; names[n] != '\0'; n++)
		looked[n] = (struct core_looked){ m->at[n].path, false };
	core_slice(c, looked, n, m, core_moment(c), &somebody, 6);
	manifest_free(m);
}

static inline void
base(struct core *c, const char *name, const char *content, uint64_t stamp)
{
	struct manifest *m = letters(name, (const uint64_t[]){ 1 }, content);

	core_base(c, name, &m->at[0], stamp);
	manifest_free(m);
}

#endif
