/*
 * supervisor/seal.c - the seal of a spool as text, and the verdicts over it.
 *
 * Pure: no file, no clock, no log. seal_file.c reads and writes it on a mounted spool; which proof
 * there is decides the engine. Strict on purpose: a seal that is not exactly as written by
 * seal_format() is damaged, and a damaged seal entitles nobody.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "supervisor/seal.h"

#define SEAL_HEAD   "mailpair-seal 1\n"
#define SEAL_SUM    "sum "
#define WALL_MS_MAX UINT64_C(253402300799999) /* the end of year 9999 */

static const char *const proof_names[PROOF_COUNT] = {
    [PROOF_NONE] = "none",
    [PROOF_RELEASED] = "released",
    [PROOF_FENCED] = "fenced",
    [PROOF_VOUCHED] = "vouched",
    [PROOF_LEASE] = "lease",
    [PROOF_HELD] = "held",
};

const char *
proof_name(enum proof_kind kind)
{
	return (unsigned int)kind < PROOF_COUNT ? proof_names[kind] : "invalid";
}

/* ---------------------------------------------------------------- text */

/* Names go into lines of text: printable, without blanks, not empty. */
static bool
is_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7F)
			return false;
	return len > 0;
}

/* Take "KEY VALUE\n" off the text; value stays within it. */
static bool
line_take(const char **at, size_t *left, const char *key, const char **ret_value, size_t *ret_len)
{
	size_t key_len = strlen(key), value_len;
	const char *end;

	if (*left < key_len + 2 || memcmp(*at, key, key_len) != 0 || (*at)[key_len] != ' ')
		return false;
	end = memchr(*at, '\n', *left);
	if (end == NULL)
		return false;
	value_len = (size_t)(end - *at) - key_len - 1;
	*ret_value = *at + key_len + 1;
	*ret_len = value_len;
	*left -= (size_t)(end - *at) + 1;
	*at = end + 1;
	return true;
}

static bool
name_take(const char **at, size_t *left, const char *key, char *ret, size_t size)
{
	const char *value;
	size_t len;

	if (!line_take(at, left, key, &value, &len) || len >= size || !is_name(value, len))
		return false;
	memcpy(ret, value, len);
	ret[len] = '\0';
	return true;
}

/* Exactly n decimal digits. */
static bool
digits(const char *s, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*ret = v;
	return true;
}

static bool
tenure_take(const char **at, size_t *left, uint64_t *ret)
{
	const char *value;
	uint64_t v = 0;
	size_t len;

	if (!line_take(at, left, "tenure", &value, &len) || len == 0 ||
	    (len > 1 && value[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		uint64_t d = (uint64_t)(unsigned char)value[i] - '0';

		if (value[i] < '0' || value[i] > '9' || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*ret = v;
	return true;
}

/* Days from 1970-01-01 to this day of the Gregorian calendar; years begin in March here. */
static uint64_t
days_of(uint64_t year, uint64_t month, uint64_t day)
{
	uint64_t y = month <= 2 ? year - 1 : year;
	uint64_t m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static uint64_t
month_length(uint64_t year, uint64_t month)
{
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month == 2)
		return leap ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* "2026-11-21T18:00:31Z" or with ".250" before the Z. */
static bool
time_parse(const char *s, size_t len, uint64_t *ret_ms)
{
	uint64_t year, month, day, hour, minute, second, ms = 0;

	if (len != 20 && len != 24)
		return false;
	if (s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' ||
	    s[len - 1] != 'Z')
		return false;
	if (!digits(s, 4, &year) || !digits(s + 5, 2, &month) || !digits(s + 8, 2, &day))
		return false;
	if (!digits(s + 11, 2, &hour) || !digits(s + 14, 2, &minute) || !digits(s + 17, 2, &second))
		return false;
	if (len == 24 && (s[19] != '.' || !digits(s + 20, 3, &ms)))
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_length(year, month))
		return false;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	*ret_ms =
	    (((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms;
	return true;
}

static bool
sum_matches(const char *text, size_t body_len, const char *sum, size_t sum_len)
{
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX];

	digest_sha256(text, body_len, digest);
	digest_hex(digest, sizeof(digest), hex);
	return sum_len == DIGEST_HEX - 1 && memcmp(hex, sum, sum_len) == 0;
}

bool
seal_parse(const char *text, size_t len, struct seal *ret, struct err *err)
{
	const char *at = text, *value, *state;
	size_t left = len, value_len, state_len, body_len;
	struct seal s = {.tenure = 0};

	if (left < strlen(SEAL_HEAD) || memcmp(at, SEAL_HEAD, strlen(SEAL_HEAD)) != 0)
		return err_set(err, 0,
		    "the seal does not begin with \"mailpair-seal 1\": damaged, or of another "
		    "version");
	at += strlen(SEAL_HEAD);
	left -= strlen(SEAL_HEAD);
	if (!name_take(&at, &left, "pair", s.pair, sizeof(s.pair)) ||
	    !name_take(&at, &left, "node", s.node, sizeof(s.node)))
		return err_set(err, 0, "the seal is damaged at its line \"pair\" or \"node\"");
	if (!tenure_take(&at, &left, &s.tenure))
		return err_set(err, 0, "the seal is damaged at its line \"tenure\"");
	if (!name_take(&at, &left, "boot", s.boot, sizeof(s.boot)))
		return err_set(err, 0, "the seal is damaged at its line \"boot\"");
	if (!line_take(&at, &left, "at", &value, &value_len) ||
	    !time_parse(value, value_len, &s.at_wall_ms))
		return err_set(err, 0, "the seal is damaged at its line \"at\"");
	if (!line_take(&at, &left, "state", &state, &state_len))
		return err_set(err, 0, "the seal is damaged at its line \"state\"");
	s.released = state_len == 8 && memcmp(state, "released", 8) == 0;
	if (!s.released && (state_len != 5 || memcmp(state, "owned", 5) != 0))
		return err_set(err, 0, "the seal is damaged at its line \"state\"");
	body_len = len - left;
	if (!line_take(&at, &left, "sum", &value, &value_len) || left != 0)
		return err_set(err, 0, "the seal is cut off or has more lines than it should");
	if (!sum_matches(text, body_len, value, value_len))
		return err_set(err, 0, "the seal's checksum does not match its text");
	*ret = s;
	return true;
}

/* The length, or 0 where the seal cannot be written so that it is read back the same (or does not
 * fit). */
size_t
seal_format(const struct seal *s, char *buf, size_t size)
{
	char at[CLOCK_RFC3339_MAX], hex[DIGEST_HEX];
	uint8_t digest[DIGEST_LEN];
	int body, all;

	if (!is_name(s->pair, strnlen(s->pair, sizeof(s->pair))) ||
	    !is_name(s->node, strnlen(s->node, sizeof(s->node))) ||
	    !is_name(s->boot, strnlen(s->boot, sizeof(s->boot))) || s->at_wall_ms > WALL_MS_MAX)
		return 0;
	body = snprintf(buf, size,
	    SEAL_HEAD "pair %s\nnode %s\ntenure %" PRIu64 "\nboot %s\nat %s\nstate %s\n", s->pair,
	    s->node, s->tenure, s->boot, clock_rfc3339_ms(s->at_wall_ms, at),
	    s->released ? "released" : "owned");
	if (body < 0 || (size_t)body >= size)
		return 0;
	digest_sha256(buf, (size_t)body, digest);
	all = snprintf(buf + body, size - (size_t)body, SEAL_SUM "%s\n",
	    digest_hex(digest, sizeof(digest), hex));
	return all < 0 || (size_t)all >= size - (size_t)body ? 0 : (size_t)(body + all);
}

/* ---------------------------------------------------------------- verdict */

/* Does the proof entitle us to what this seal (perhaps none) says is owned? */
static bool
proof_covers(const struct seal *s, const char *self, enum proof_kind proof, uint64_t released,
    uint64_t known)
{
	switch (proof) {
	case PROOF_RELEASED:
		return s == NULL || s->tenure <= released;
	case PROOF_FENCED:
	case PROOF_VOUCHED:
		return true;
	case PROOF_HELD:
		/* A seal that says "released" says that we did let go, whatever this process
		 * remembers. */
		return s != NULL && strcmp(s->node, self) == 0 && s->tenure == known &&
		       !s->released;
	case PROOF_LEASE: /* nobody grants leases yet, so nobody can hold one */
	case PROOF_NONE:
	case PROOF_COUNT:
		break;
	}
	return false;
}

enum seal_verdict
seal_judge(const struct seal *s, const char *pair, const char *self, const char *peer,
    enum proof_kind proof, uint64_t released, uint64_t known, uint64_t *ret_tenure)
{
	uint64_t newest = s != NULL && s->tenure > known ? s->tenure : known;

	/* Whose it is comes before what may be done with it: no proof about our peer speaks for
	 * others. */
	if (s != NULL && strcmp(s->pair, pair) != 0)
		return SEAL_OTHER_PAIR;
	if (s != NULL && strcmp(s->node, self) != 0 && strcmp(s->node, peer) != 0)
		return SEAL_STRANGER;
	if (!proof_covers(s, self, proof, released, known))
		return SEAL_NEWER;
	if (proof == PROOF_HELD) {
		*ret_tenure = known;
		return SEAL_OK;
	}
	if (newest == UINT64_MAX)
		return SEAL_NEWER; /* there is no next one */
	*ret_tenure = newest + 1;
	return SEAL_OK;
}

/* ---------------------------------------------------------------- found mounted */

const char *
seal_found_name(enum seal_found found)
{
	static const char *const names[SEAL_FOUND_COUNT] = {
	    [SEAL_FOUND_OURS] = "ours",
	    [SEAL_FOUND_UNSEALED] = "unsealed",
	    [SEAL_FOUND_THEIRS] = "theirs",
	    [SEAL_FOUND_FOREIGN] = "foreign",
	};

	return (unsigned int)found < SEAL_FOUND_COUNT ? names[found] : "invalid";
}

enum seal_found
seal_find(const struct seal_look *l)
{
	const struct seal *s = l->seal;

	if (l->unread)
		return l->unread_sys != 0 ? SEAL_FOUND_THEIRS : SEAL_FOUND_FOREIGN;
	if (s != NULL && strcmp(s->pair, l->pair) != 0)
		return SEAL_FOUND_FOREIGN;
	if (s != NULL && strcmp(s->node, l->self) != 0 && strcmp(s->node, l->peer) != 0)
		return SEAL_FOUND_FOREIGN;
	/* Two signs that somebody else may write to it by right. */
	if (l->touched == FACT_YES || (s != NULL && strcmp(s->node, l->peer) == 0))
		return SEAL_FOUND_THEIRS;
	/* What was let go, or sealed before this boot, says nothing of the mount that is there now.
	 */
	if (s == NULL || strcmp(s->boot, l->boot) != 0 || s->released || s->tenure <= l->released)
		return SEAL_FOUND_UNSEALED;
	return s->tenure >= l->known ? SEAL_FOUND_OURS : SEAL_FOUND_THEIRS;
}
