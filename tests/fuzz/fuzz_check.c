/*
 * tests/fuzz/fuzz_check.c - any sequence of directories, files and contents: the check ends, its findings are sorted and
 * bounded, and do not depend on the seed of its table.
 */
#include <assert.h>

#include "tests/unit/toy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct input { const uint8_t *at; size_t left; };

static uint8_t
byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

/* A string of up to most bytes without NUL and "/", as a directory has them. */
static void
text(struct input *in, char *buf, size_t most)
{
	size_t len = byte(in) % most;

	for (size_t i = 0; i < len; i++) {
		buf[i] = (char)byte(in);
		if (buf[i] == '\0' || buf[i] == '/')
			buf[i] = '3';
	}
	buf[len] = '\0';
}

static void
any_file(struct input *in, struct queue_file *f, char *name, char *sub)
{
	static const uint32_t types[] = { QUEUE_REGULAR, QUEUE_REGULAR, QUEUE_REGULAR, QUEUE_DIRECTORY, QUEUE_SYMLINK, QUEUE_FIFO,
		QUEUE_SOCKET, 0 };
	static const int64_t times[] = { 0, TOY_NOW, TOY_NOW + 3600, INT64_MAX, INT64_MIN, -1 };
	uint8_t what = byte(in), how = byte(in);

	text(in, name, 40);
	if (name[0] == '\0')
		memcpy(name, "3", 2);
	text(in, sub, 3);
	*f = (struct queue_file){ .name = name, .sub = sub, .place = what % 3, .ino = byte(in), .size = how % 3,
	    .mode = types[(what >> 2) % 8] | (how & 64 ? 0644 : 0600), .uid = how & 128 ? byte(in) : TOY_UID,
	    .gid = TOY_GID, .nlink = 1 + (how >> 2) % 3, .mtime = times[(how >> 4) % 6] };
}

static void
contents(struct check *c, struct input *in)
{
	struct check_asked asked;

	for (int rounds = 0; rounds < 3; rounds++) {
		while (check_asked(c, &asked)) {
			uint8_t what = byte(in);
			struct queue_content content = { .bad = what & 1, .problem = (enum problem)(what % PROBLEM_COUNT) };

			check_content(c, &asked, &content);
			if (what == 255)
				check_unreadable(c, &asked, "EIO");
			if (what & 128)
				check_ask(c, &asked.file, asked.key, asked.bit);
		}
	}
}

static void
run(const uint8_t *bytes, size_t len, uint64_t seed, struct findings *ret)
{
	struct input in = { bytes, len };
	struct check_options options = { .deep = byte(&in) & 1, .now = TOY_NOW, .slack = 60, .seed = seed };
	struct queue_layout layout;
	struct check *c;
	uint64_t messages, files;

	toy_layout(&layout, "/q");
	c = check_new(&toy_rules, &layout, &options);
	while (in.left > 0) {
		char name[64], sub[64], path[200];
		uint8_t op = byte(&in);
		struct queue_file f;

		any_file(&in, &f, name, sub);
		queue_file_path(&layout, &f, path, sizeof path);
		if (op % 16 == 0)
			check_directory(c, op & 16 ? path : layout.place[f.place].path, f.place, &f);
		else if (op % 16 == 1)
			check_mounted(c, path, f.place);
		else if (op % 16 == 2)
			check_blind(c, &f, "EIO");
		else if (op % 16 == 3)
			check_keep(c, &f, (struct queue_key){ 0, f.ino }, 1);
		else
			check_file(c, &f);
	}
	check_joined(c);
	contents(c, &in);
	check_end(c, ret, &messages, &files);
	assert(messages <= files || files == 0);
	check_free(c);
	queue_layout_free(&layout);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct findings first = { 0 }, second = { 0 };

	run(bytes, len, 0, &first);
	run(bytes, len, UINT64_C(0x123456789abcdef1), &second);
	assert(first.len == second.len);
	for (size_t i = 0; i < first.len; i++) {
		const struct finding *f = &first.at[i];

		assert(f->path != NULL && f->detail != NULL && f->detail[0] != '\0' && f->count > 0);
		assert(f->rule >= 1 && f->rule <= 38);
		assert(strcmp(f->path, second.at[i].path) == 0 && strcmp(f->detail, second.at[i].detail) == 0);
		assert(i == 0 || first.at[i - 1].class <= f->class);
		for (size_t k = 0; k < f->remedies; k++)
			assert(f->remedy[k].path != NULL && f->class != CLASS_REPORT && f->class != CLASS_WAIT);
	}
	findings_free(&first);
	findings_free(&second);
	return 0;
}
