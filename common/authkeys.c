/*
 * common/authkeys.c - the shared secrets of the pair, in the classic form "auth N" and "N METHOD
 * SECRET". Beats are always signed with HMAC-SHA-256; METHOD says for what strength the key was
 * made, so that keys taken over from an old cluster are refused until somebody has decided.
 *
 * Leaves signing to supervisor/beat.c. Secrets never stand in a message. Reading blocks on the
 * disk: for start-up and workers; authkeys_parse() is pure.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf_parts.h"

#define FILE_MAX   (16 * 1024)
#define WORDS_MAX  4 /* more than the three that are right */
#define SECRET_MIN 8

struct word {
	const char *text;
	size_t len;
};

struct parse {
	struct authkeys keys;
	int auth; /* the number behind "auth", 0 none yet */
	int auth_line;
	bool allow_weak;
	struct conf_mistakes *mistakes;
};

static bool
word_is(struct word w, const char *text)
{
	return w.len == strlen(text) && memcmp(w.text, text, w.len) == 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The words of a line without its comment; secrets may hold a '#', so one begins after a blank
 * only. */
static size_t
split(const char *line, size_t len, struct word words[WORDS_MAX])
{
	size_t n = 0, at = 0;

	while (at < len && n < WORDS_MAX) {
		while (at < len && is_blank(line[at]))
			at++;
		if (at == len || line[at] == '#')
			break;
		words[n].text = line + at;
		while (at < len && !is_blank(line[at]))
			at++;
		words[n].len = (size_t)(line + at - words[n].text);
		n++;
	}
	return n;
}

/* 1 to AUTHKEYS_MAX, or 0. */
static int
key_number(struct word w)
{
	int value = 0;

	if (w.len == 0 || w.len > 2 || w.text[0] == '0')
		return 0;
	for (size_t i = 0; i < w.len; i++) {
		if (w.text[i] < '0' || w.text[i] > '9')
			return 0;
		value = value * 10 + (w.text[i] - '0');
	}
	return value <= AUTHKEYS_MAX ? value : 0;
}

static void
take_auth(struct parse *p, const struct word *words, size_t n, int line)
{
	int number = n == 2 ? key_number(words[1]) : 0;

	if (number == 0) {
		conf_mistake(p->mistakes, line,
		    "\"auth\" is not followed by one number from 1 to %d: write auth 1, "
		    "the key that signs",
		    AUTHKEYS_MAX);
		return;
	}
	if (p->auth_line != 0) {
		conf_mistake(p->mistakes, line,
		    "\"auth\" stands here twice; the first is in line %d", p->auth_line);
		return;
	}
	p->auth = number;
	p->auth_line = line;
}

/* Weakness is the operator's decision, not ours: refused unless allowed. */
static bool
strong_enough(struct parse *p, const struct word *words, size_t n, int number, int line)
{
	/* What is longer than a method may be a secret at the wrong place: it is not repeated. */
	bool weak =
	    word_is(words[1], "sha1") || word_is(words[1], "md5") || word_is(words[1], "crc");
	char shown[24];

	if (!weak && !word_is(words[1], "sha256")) {
		snprintf(shown, sizeof(shown), "%.*s",
		    words[1].len < SECRET_MIN ? (int)words[1].len : 0, words[1].text);
		conf_mistake(p->mistakes, line,
		    "key %d: the method \"%s\" is not known; write %d sha256 SECRET", number,
		    n == 2 ? "" : shown, number);
		return false;
	}
	if (weak && !p->allow_weak) {
		conf_mistake(p->mistakes, line,
		    "key %d: the method %.*s is too weak; write %d sha256 SECRET with a "
		    "new secret from \"mailpair keygen\", or allow-weak-auth = yes in "
		    "mailpair.conf",
		    number, (int)words[1].len, words[1].text, number);
		return false;
	}
	if (word_is(words[1], "crc") ? n != 2 : n != 3) {
		if (word_is(words[1], "crc"))
			conf_mistake(p->mistakes, line, "key %d: crc has no secret: write %d crc",
			    number, number);
		else if (n < 3)
			conf_mistake(p->mistakes, line,
			    "key %d: the secret is missing: write %d %.*s SECRET", number, number,
			    (int)words[1].len, words[1].text);
		else
			conf_mistake(p->mistakes, line,
			    "key %d: more than one word follows the method; a secret has "
			    "no blanks",
			    number);
		return false;
	}
	if (n == 3 && words[2].len < SECRET_MIN && !p->allow_weak) {
		conf_mistake(p->mistakes, line,
		    "key %d: the secret has %zu characters, less than %d; take one from "
		    "\"mailpair keygen\", or write allow-weak-auth = yes in mailpair.conf",
		    number, words[2].len, SECRET_MIN);
		return false;
	}
	return true;
}

static void
take_key(struct parse *p, const struct word *words, size_t n, int line)
{
	int number = key_number(words[0]);
	size_t at = p->keys.len;

	if (number == 0) {
		conf_mistake(p->mistakes, line,
		    "the line begins neither with \"auth\" nor with the number of a key, "
		    "1 to %d",
		    AUTHKEYS_MAX);
		return;
	}
	if (n == 1) {
		conf_mistake(p->mistakes, line,
		    "key %d: method and secret are missing: write %d sha256 SECRET", number,
		    number);
		return;
	}
	for (size_t i = 0; i < p->keys.len; i++) {
		if (p->keys.key[i].id == number) {
			conf_mistake(p->mistakes, line,
			    "key %d stands here twice; each number is one key", number);
			return;
		}
	}
	if (!strong_enough(p, words, n, number, line))
		return;
	p->keys.key[at].id = (uint8_t)number;
	if (n == 3 && words[2].len <= sizeof(p->keys.key[at].key)) {
		memcpy(p->keys.key[at].key, words[2].text, words[2].len);
		p->keys.key[at].len = words[2].len;
	} else if (n == 3) {
		digest_sha256(words[2].text, words[2].len, p->keys.key[at].key);
		p->keys.key[at].len = DIGEST_LEN;
	}
	p->keys.len++;
}

static void
take_line(struct parse *p, const char *text, size_t len, int line)
{
	struct word words[WORDS_MAX];
	size_t n = split(text, len, words);

	if (n == 0)
		return;
	if (memchr(text, '\0', len) != NULL)
		conf_mistake(p->mistakes, line, "the line holds a NUL byte: the file is damaged");
	else if (word_is(words[0], "auth"))
		take_auth(p, words, n, line);
	else
		take_key(p, words, n, line);
}

bool
authkeys_parse(const char *text, size_t len, bool allow_weak, struct authkeys *ret,
    struct conf_mistakes *mistakes)
{
	struct parse p = {.allow_weak = allow_weak, .mistakes = mistakes};
	size_t before = mistakes->len, end, sending = AUTHKEYS_MAX;
	int line = 1;

	for (size_t at = 0; at < len; at = end + 1, line++) {
		const char *newline = memchr(text + at, '\n', len - at);

		end = newline == NULL ? len : (size_t)(newline - text);
		take_line(&p, text + at, end - at, line);
	}
	for (size_t i = 0; i < p.keys.len; i++)
		if (p.keys.key[i].id == p.auth)
			sending = i;
	if (p.auth_line == 0 && mistakes->len == before)
		conf_mistake(mistakes, 0, "no line says which key signs: write auth 1");
	else if (sending == AUTHKEYS_MAX && mistakes->len == before)
		conf_mistake(mistakes, p.auth_line,
		    "auth %d: there is no key %d: write %d sha256 SECRET", p.auth, p.auth, p.auth);
	if (mistakes->len == before) {
		p.keys.sending = sending;
		*ret = p.keys;
	}
	explicit_bzero(&p, sizeof(p));
	return mistakes->len == before;
}

/* Whoever can read the keys can speak for a node. */
static bool
is_private(const struct stat *st, struct conf_mistakes *mistakes)
{
	size_t before = mistakes->len;

	if (!S_ISREG(st->st_mode))
		conf_mistake(mistakes, 0, "the key file is no regular file");
	if ((st->st_mode & 077) != 0)
		conf_mistake(mistakes, 0,
		    "the key file has mode %04o: others than its owner may use it; "
		    "chmod 0600 it, and make new keys if somebody may have read them",
		    (unsigned int)(st->st_mode & 07777));
	if (st->st_uid != 0 && st->st_uid != geteuid())
		conf_mistake(mistakes, 0,
		    "the key file belongs to user %u, who could change it; chown it to root",
		    (unsigned int)st->st_uid);
	return mistakes->len == before;
}

bool
authkeys_load(
    const char *file, bool allow_weak, struct authkeys *ret, struct conf_mistakes *mistakes)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[FILE_MAX + 1];
	size_t len = 0;
	ssize_t got;
	struct stat st;
	bool ok = false;

	if (fd == -1 || fstat(fd, &st) == -1) {
		conf_mistake(mistakes, 0, "the key file cannot be read: %s", strerror(errno));
		goto out;
	}
	if (!is_private(&st, mistakes))
		goto out;
	do {
		got = read(fd, text + len, sizeof(text) - len);
		len += got > 0 ? (size_t)got : 0;
	} while ((got > 0 && len < sizeof(text)) || (got == -1 && errno == EINTR));
	if (got == -1)
		conf_mistake(mistakes, 0, "the key file cannot be read: %s", strerror(errno));
	else if (len > FILE_MAX)
		conf_mistake(mistakes, 0, "the key file is larger than %d KiB", FILE_MAX / 1024);
	else
		ok = authkeys_parse(text, len, allow_weak, ret, mistakes);
	explicit_bzero(text, sizeof(text));
out:
	if (fd != -1)
		close(fd);
	return ok;
}
