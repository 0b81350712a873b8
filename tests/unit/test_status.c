/*
 * tests/unit/test_status.c - the laws of supervisor/status_json.c and status_text.c, and the golden
 * files in tests/fixtures/status. Run from the root of the tree. UPDATE_GOLDEN=1 writes the files
 * anew: read the difference before you commit it.
 */
#include "tests/unit/harness.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/status.h"

#define AT 1795284031000	/* 2026-11-21T18:00:31Z */

static struct gap gap_regular, gap_none;

static struct status
healthy_active(void)
{
	struct status s = {
	    .pair = "mail",
	    .node = "mx1",
	    .peer = "mx2",
	    .role = ROLE_ACTIVE,
	    .peer_role = ROLE_STANDBY,
	    .peer_role_known = true,
	    .peer_view = VIEW_ALIVE,
	    .peer_holds = FACT_NO,
	    .tenure = 7,
	    .peer_tenure = 7,
	    .automatic_takeover = true,
	    .config_same = FACT_YES,
	    .clock_offset_ms = -12,
	    .link =
		{
		    {"cross", "udp", true, 103, 211, &gap_regular, 0, 90210, 0, 90200, 0, {0}},
		    {"lan", "multicast", true, 103, 1340, &gap_regular, 2, 90210, 0, 90198, 0, {0}},
		    {"serial", "serial", true, 110, 22050, &gap_regular, 0, 90210, 0, 90200, 0,
			{0}},
		},
	    .links = 3,
	    .fence =
		{
		    {"bmc-mx1", "mx1", "fence_ipmilan", FACT_YES, AT, "2026-10-01T09:00:00Z"},
		    {"bmc-mx2", "mx2", "fence_ipmilan", FACT_YES, AT, ""},
		},
	    .fences = 2,
	    .storage_type = "shared",
	    .storage_device = "/dev/mapper/mail",
	    .mountpoint = "/srv/mail",
	    .storage_state = "ext4, 41% used",
	    .mounted = FACT_YES,
	    .address =
		{
		    {"192.168.0.53/24", "eth0", FACT_YES},
		    {"2001:db8::53/64", "eth0", FACT_YES},
		},
	    .addresses = 2,
	    .mta_name = "postfix",
	    .mta_running = FACT_YES,
	    .mta_answering = FACT_YES,
	    .queue_known = true,
	    .queue = {.total = 12, .active = 1, .deferred = 11},
	    .last = {"takeover", 7, AT, "mx2", "mx1", "mx2 silent on all links; fenced by bmc-mx2",
		1240},
	    .beats_sent = 270630,
	};

	return s;
}

static struct status
healthy_standby(void)
{
	struct status s = healthy_active();

	memcpy(s.node, "mx2", 4);
	memcpy(s.peer, "mx1", 4);
	s.role = ROLE_STANDBY;
	s.peer_role = ROLE_ACTIVE;
	s.peer_holds = FACT_YES;
	s.mounted = FACT_NO;
	s.storage_state[0] = '\0';
	s.address[0].held = s.address[1].held = FACT_NO;
	s.mta_running = FACT_NO;
	s.mta_answering = FACT_UNKNOWN;
	s.queue_known = false;
	return s;
}

/* The standby hears nothing and the fence device does not answer: what safety promise S2 looks
 * like. */
static struct status
no_proof(void)
{
	struct status s = healthy_standby();

	s.peer_view = VIEW_SILENT;
	s.peer_holds = FACT_UNKNOWN;
	s.fence[0].answers = FACT_NO;
	for (size_t i = 0; i < s.links; i++) {
		s.link[i].up = false;
		s.link[i].last_heard_ms = 754000;
	}
	s.rejected[BEAT_FORGED] = s.link[0].rejected[BEAT_FORGED] = 3;
	s.pauses = 1;
	s.longest_pause_ms = 2345;
	snprintf(s.problem[0].text, sizeof(s.problem[0].text),
	    "mx1 is silent on every link for 12 min and "
	    "nothing proves that it is off: fence device bmc-mx1 does not answer (connection timed "
	    "out).");
	snprintf(s.problem[0].advice, sizeof(s.problem[0].advice),
	    "Look at mx1. If it is certainly powered "
	    "off, run on mx2: mailpair confirm-dead mx1");
	snprintf(s.problem[1].text, sizeof(s.problem[1].text),
	    "Mail is not served by any node of the pair.");
	s.problems = 2;
	return s;
}

static struct status
just_started(void)
{
	struct status s = {
	    .pair = "mail",
	    .node = "mx1",
	    .peer = "mx2",
	    .role = ROLE_JOINING,
	    .peer_view = VIEW_UNSEEN,
	    .doing = "waiting for mx2, 58 s left",
	    .clock_offset_ms = INT64_MIN,
	    .link = {{"cross", "udp", false, -1, -1, &gap_none, 0, 4, 0, 0, 0, {0}}},
	    .links = 1,
	    .storage_type = "shared",
	    .storage_device = "/dev/sdb",
	    .mountpoint = "/srv/mail",
	    .address = {{"192.168.0.53/24", "eth0", FACT_UNKNOWN}},
	    .addresses = 1,
	    .mta_name = "postfix",
	};

	return s;
}

static struct status
maintenance(void)
{
	struct status s = healthy_active();

	s.maintenance = true;
	s.maintenance_until_wall_ms = AT + 7200000;
	s.proof = PROOF_FENCED;
	snprintf(
	    s.proof_text, sizeof(s.proof_text), "bmc-mx2 switched mx2 off and says that it is off");
	s.peer_view = VIEW_FENCED;
	s.peer_role_known = false;
	s.clock_offset_ms = 5300;
	s.services_stopped = true;
	s.mta_running = FACT_NO;
	s.mta_answering = FACT_UNKNOWN;
	snprintf(s.problem[0].text, sizeof(s.problem[0].text), "Maintenance is on.");
	snprintf(s.problem[0].advice, sizeof(s.problem[0].advice), "mailpair maintenance off");
	s.problems = 1;
	return s;
}

static const struct {
	const char	*name;
	struct status	(*make)(void);
} samples[] = {
    {"healthy-active", healthy_active},
    {"healthy-standby", healthy_standby},
    {"no-proof", no_proof},
    {"just-started", just_started},
    {"maintenance", maintenance},
};
#define SAMPLES ((int)(sizeof(samples) / sizeof(samples[0])))

/* So that a new version number does not change the golden files. */
static char *
without_version(char *text)
{
	static const char mark[] = "\"version\": \"";
	char *at = strstr(text, mark);

	if (at != NULL) {
		at += sizeof(mark) - 1;
		memmove(at, strchr(at, '"'), strlen(strchr(at, '"')) + 1);
	}
	return text;
}

static void
compare(const char *name, const char *ending, const char *have)
{
	char path[256], *want = calloc(1, 65536);
	bool update = getenv("UPDATE_GOLDEN") != NULL;
	FILE *file;

	snprintf(path, sizeof(path), "tests/fixtures/status/%s.%s", name, ending);
	file = fopen(path, update ? "w" : "r");
	ck_assert_msg(file != NULL, "cannot open %s: run this from the root of the tree", path);
	if (update)
		ck_assert_int_ge(fputs(have, file), 0);
	else
		ck_assert_uint_lt(fread(want, 1, 65535, file), 65535);
	fclose(file);
	ck_assert_msg(
	    update || strcmp(have, want) == 0, "%s differs; the program says:\n%s", path, have);
	free(want);
}

static char *
render(size_t (*how)(const struct status *, char *, size_t), const struct status *s)
{
	size_t len = how(s, NULL, 0);
	char *buf = malloc(len + 1);

	ck_assert_uint_eq(how(s, buf, len + 1), len);
	ck_assert_uint_eq(strlen(buf), len);
	return buf;
}

START_TEST(the_document_for_programs_is_as_agreed)
{
	struct status s = samples[_i].make();
	char *text = render(status_json, &s);

	compare(samples[_i].name, "json", without_version(text));
	free(text);
}
END_TEST

START_TEST(the_page_for_people_is_as_agreed)
{
	struct status s = samples[_i].make();
	char *text = render(status_text, &s);

	compare(samples[_i].name, "txt", text);
	free(text);
}
END_TEST

START_TEST(every_page_is_at_most_79_columns_wide)
{
	struct status s = samples[_i].make();
	char *text = render(status_text, &s);

	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		ck_assert_msg(
		    strcspn(line, "\n") <= 79, "too wide: %.*s", (int)strcspn(line, "\n"), line);
	free(text);
}
END_TEST

START_TEST(a_healthy_pair_fits_24_lines)
{
	struct status s = _i == 0 ? healthy_active() : healthy_standby();
	char *text = render(status_text, &s);
	int lines = 0;

	for (const char *at = text; *at != '\0'; at++)
		lines += *at == '\n';
	ck_assert_int_le(lines, 23);
	free(text);
}
END_TEST

START_TEST(every_member_of_the_contract_is_there)
{
	static const struct { const char *member, *inside[8];
	} contract[] = {
	    {"pair", {NULL}},
	    {"node", {NULL}},
	    {"peer", {NULL}},
	    {"version", {NULL}},
	    {"role", {NULL}},
	    {"peer_view", {NULL}},
	    {"peer_role", {NULL}},
	    {"tenure", {NULL}},
	    {"maintenance", {NULL}},
	    {"automatic_takeover", {NULL}},
	    {"healthy", {NULL}},
	    {"problems", {NULL}},
	    {"links", {"name", "transport", "up", "last_heard_ms", "rtt_us", "lost"}},
	    {"storage", {"type", "device", "mountpoint", "mounted", "state"}},
	    {"addresses", {"address", "interface", "held"}},
	    {"mta",
		{"name", "running", "answering", "queue", "total", "active", "deferred", "hold"}},
	    {"services", {NULL}},
	    {"config_sync", {"in_step", "files", "pending", "conflicts", "refused"}},
	    {"last_transition", {"kind", "tenure", "from", "to", "at", "took_ms", "reason"}},
	};
	struct status s = healthy_active();
	char *text = render(status_json, &s), key[64];

	for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++) {
		char *line, *end, *found;

		snprintf(key, sizeof(key), "\n  \"%s\": ", contract[i].member);
		line = strstr(text, key);
		ck_assert_msg(line != NULL, "no member %s", contract[i].member);
		end = strchr(line + 1, '\n');
		for (size_t k = 0; k < 8 && contract[i].inside[k] != NULL; k++) {
			snprintf(key, sizeof(key), "\"%s\": ", contract[i].inside[k]);
			found = strstr(line, key);
			ck_assert_msg(found != NULL && found < end, "no %s in %s",
			    contract[i].inside[k], contract[i].member);
		}
	}
	free(text);
}
END_TEST

START_TEST(a_look_that_was_cut_is_not_called_a_look_at_everything)
{
	static const char names[] = "consistent at the start by all names and some of the files\n";
	struct status s = healthy_active();
	char *cut, *whole, *later;

	snprintf(s.queue_verdict, sizeof(s.queue_verdict), "consistent");
	s.queue_cut = true;
	cut = render(status_text, &s);
	ck_assert_ptr_nonnull(strstr(cut, names));
	s.queue_cut = false;
	whole = render(status_text, &s);
	ck_assert_ptr_nonnull(strstr(whole, ", consistent at the start\n"));
	s.queue_cut = true;
	snprintf(s.queue_deep, sizeof(s.queue_deep), "repairable");
	later = render(status_text, &s);
	ck_assert_ptr_nonnull(strstr(later, ", repairable\n"));
	free(cut);
	free(whole);
	free(later);
}
END_TEST

START_TEST(what_the_queue_keeps_from_starting_is_not_called_stopped_by_command)
{
	struct status s = maintenance();
	char *text;

	s.queue_refused = true;
	text = render(status_text, &s);
	ck_assert_ptr_null(strstr(text, "by command"));
	ck_assert_ptr_nonnull(strstr(text, "postfix: NOT STARTED"));
	free(text);
}
END_TEST

START_TEST(configuration_in_step_is_told_where_it_is_configured)
{
	static const struct { struct status_config config; const char *json, *text; } row[] = {
		{ { FACT_YES, 412, 0, 0, "", 0 }, "{\"in_step\": true, \"files\": 412, \"pending\": 0, \"conflicts\": 0, \"refused\": 0}", "config   in step, 412 files\n" },
		{ { FACT_NO, 412, 2, 1, "main.cf line 3 is wrong", 3 }, "{\"in_step\": false, \"files\": 412, \"pending\": 2, \"conflicts\": 1, \"refused\": 3}",
		    "config   NOT in step, 412 files, 2 on the way, 1 IN CONFLICT, 3 REFUSED\n         main.cf line 3 is wrong\n" },
		{ { FACT_UNKNOWN, 0, 0, 0, "", 0 }, "{\"in_step\": null, \"files\": 0, \"pending\": 0, \"conflicts\": 0, \"refused\": 0}",
		    "config   not known whether it is in step\n" },
	};
	struct status s = healthy_active();
	char *text;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		s.config_on = true;
		s.config = row[i].config;
		text = render(status_json, &s);
		ck_assert_msg(strstr(text, row[i].json) != NULL, "%s", text);
		free(text);
		text = render(status_text, &s);
		ck_assert_msg(strstr(text, row[i].text) != NULL, "%s", text);
		free(text);
		s.config_on = false;
		text = render(status_text, &s);
		ck_assert_ptr_null(strstr(text, "config "));
		free(text);
	}
}
END_TEST

START_TEST(any_buffer_size_is_respected)
{
	struct status s = no_proof();
	size_t (*how[])(const struct status *, char *, size_t) = { status_json, status_text };
	char *whole = render(how[_i], &s);
	size_t len = strlen(whole);

	for (size_t size = 1; size <= len; size += 13) {
		char *buf = malloc(size);

		ck_assert_uint_eq(how[_i](&s, buf, size), len);
		ck_assert_uint_eq(strlen(buf), size - 1);
		ck_assert_int_eq(memcmp(buf, whole, size - 1), 0);
		free(buf);
	}
	free(whole);
}
END_TEST

START_TEST(a_healthy_pair_is_healthy_on_both_nodes)
{
	struct status active = healthy_active(), standby = healthy_standby();

	ck_assert(status_healthy(&active));
	ck_assert(status_healthy(&standby));
	active.peer_view = VIEW_LATE;		/* late is not yet silent */
	ck_assert(status_healthy(&active));
}
END_TEST

/* Each breaks one fact of a healthy active node. */
static void
break_fact(struct status *s, int which)
{
	switch (which) {
	case 0: s->problems = 1; break;
	case 1: s->role = ROLE_FAILED; break;
	case 2: s->peer_view = VIEW_SILENT; break;
	case 3: s->link[1].up = false; break;
	case 4: s->mounted = FACT_UNKNOWN; break;
	case 5: s->mta_running = FACT_UNKNOWN; break;
	case 6: s->mta_answering = FACT_NO; break;
	case 7: s->address[1].held = FACT_NO; break;
	case 8: s->peer_view = VIEW_LEFT; break;
	}
}

START_TEST(whatever_is_broken_is_not_healthy_and_has_a_reason)
{
	struct status s = healthy_active();
	char *json, *text;

	break_fact(&s, _i);
	ck_assert(!status_healthy(&s));
	json = render(status_json, &s);
	text = render(status_text, &s);
	ck_assert_ptr_ne(strstr(json, "\"healthy\": false"), NULL);
	ck_assert_ptr_eq(strstr(json, "\"problems\": [],"), NULL);
	ck_assert_ptr_ne(strstr(text, "NOT HEALTHY"), NULL);
	ck_assert_ptr_ne(strstr(text, "\n 1. "), NULL);
	free(json);
	free(text);
}
END_TEST

START_TEST(strange_bytes_do_not_break_the_document)
{
	struct status s = healthy_active();
	char *json;

	snprintf(s.last.reason, sizeof(s.last.reason), "a\"b\\c\n\xff\x1b[2J");
	json = render(status_json, &s);
	ck_assert_ptr_ne(strstr(json, "a\\\"b\\\\c\\n\\ufffd\\u001b[2J"), NULL);
	free(json);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("status");
	TCase *tc = tcase_create("status");

	gap_regular =
	    (struct gap){.count = 1000, .max_us = 262144, .bucket = {[30] = 940, [32] = 60}};
	tcase_add_loop_test(tc, the_document_for_programs_is_as_agreed, 0, SAMPLES);
	tcase_add_loop_test(tc, the_page_for_people_is_as_agreed, 0, SAMPLES);
	tcase_add_loop_test(tc, every_page_is_at_most_79_columns_wide, 0, SAMPLES);
	tcase_add_loop_test(tc, a_healthy_pair_fits_24_lines, 0, 2);
	tcase_add_test(tc, every_member_of_the_contract_is_there);
	tcase_add_test(tc, a_look_that_was_cut_is_not_called_a_look_at_everything);
	tcase_add_test(tc, what_the_queue_keeps_from_starting_is_not_called_stopped_by_command);
	tcase_add_test(tc, configuration_in_step_is_told_where_it_is_configured);
	tcase_add_loop_test(tc, any_buffer_size_is_respected, 0, 2);
	tcase_add_test(tc, a_healthy_pair_is_healthy_on_both_nodes);
	tcase_add_loop_test(tc, whatever_is_broken_is_not_healthy_and_has_a_reason, 0, 9);
	tcase_add_test(tc, strange_bytes_do_not_break_the_document);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
