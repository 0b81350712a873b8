/*
 * tests/unit/test_qmail_service.c - what is read of qmail's services: the words of a script, the rules that it gives to
 * tcpserver, the status that supervise and runsv keep.
 */
#include <string.h>

#include "mta/qmail_conf.h"
#include "mta/qmail_service.h"
#include "tests/unit/harness.h"

START_TEST(what_a_script_starts_is_told_by_its_words)
{
	static const struct { const char *text; enum qmail_start starts; } scripts[] = {
		{ "#!/bin/sh\nexec /var/qmail/rc\n", QMAIL_STARTS_SEND },
		{ "#!/bin/sh\nexec env - PATH=\"/var/qmail/bin:$PATH\" \\\nqmail-start ./Maildir/\n", QMAIL_STARTS_SEND },
		{ "exec softlimit -m 9000000 \\\n\ttcpserver -v -x /etc/tcp.smtp.cdb 0 smtp /var/qmail/bin/qmail-smtpd 2>&1", QMAIL_STARTS_LISTENER },
		{ "tcpserver 0 110 /var/qmail/bin/qmail-popup mx /bin/checkpassword /var/qmail/bin/qmail-pop3d Maildir", QMAIL_STARTS_POP },
		{ "exec '/usr/bin/sslserver' 0 465 x", QMAIL_STARTS_LISTENER },
		{ "#!/bin/sh\n# like qmail-send\nexec multilog t /var/log/qmail-smtpd.d\n", QMAIL_STARTS_NOTHING },
		{ "exec not-qmail-send; exec tcpservers", QMAIL_STARTS_NOTHING },
		{ "/var/qmail/rcs", QMAIL_STARTS_NOTHING }, { "", QMAIL_STARTS_NOTHING }, { "#", QMAIL_STARTS_NOTHING }, { "'", QMAIL_STARTS_NOTHING },
	};

	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
		ck_assert_msg(qmail_script_starts(scripts[i].text, "/var/qmail") == scripts[i].starts, "%s", scripts[i].text);
}
END_TEST

START_TEST(the_rules_of_tcpserver_are_found_in_its_arguments)
{
	static const struct { const char *text, *cdb; } scripts[] = {
		{ "exec tcpserver -v -R -x /etc/tcp.smtp.cdb -c 20 0 25 smtpd", "/etc/tcp.smtp.cdb" },
		{ "exec tcpserver -vRHl0 -x/etc/tcp.smtp.cdb 0 25", "/etc/tcp.smtp.cdb" },
		{ "exec tcpserver -vRx '/etc/tcp.smtp.cdb' 0 25", "/etc/tcp.smtp.cdb" },
		{ "exec softlimit -x /no tcpserver -x \"/etc/a.cdb\"", "/etc/a.cdb" },
		{ "exec tcpserver -x $RULES 0 25", NULL }, { "exec tcpserver -x etc/rel.cdb 0 25", NULL }, { "exec tcpserver 0 25", NULL },
		{ "exec tcpserver -x", NULL }, { "", NULL },
	};
	char cdb[64];

	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
		bool found = qmail_script_cdb(scripts[i].text, cdb, sizeof cdb);

		ck_assert_msg(found == (scripts[i].cdb != NULL), "%s", scripts[i].text);
		if (found)
			ck_assert_str_eq(cdb, scripts[i].cdb);
	}
	ck_assert(!qmail_script_cdb("tcpserver -x /a/path/that/is/too/long", cdb, 10));
}
END_TEST

START_TEST(the_status_of_daemontools_and_of_runit_is_understood_and_nothing_else)
{
	unsigned char bytes[40] = { [12] = 0x0d, [13] = 0x0c, [14] = 0x01, [16] = 1, [17] = 'u' };
	struct qmail_status status = { .pid = -5 };

	for (size_t len = 0; len < sizeof bytes; len++) {
		bool ok = qmail_status_parse(bytes, len, &status);

		ck_assert_int_eq(ok, len == 18 || len == 20);
		if (ok)
			ck_assert(status.watched && status.pid == 0x10c0d && status.paused && status.wanted_up);
	}
	bytes[15] = 0x80;
	ck_assert(!qmail_status_parse(bytes, 18, &status));
	memset(bytes, 0, sizeof bytes);
	bytes[17] = 'd';
	ck_assert(qmail_status_parse(bytes, 20, &status) && status.pid == 0 && !status.wanted_up && !status.paused);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("qmail_service");
	TCase *tc = tcase_create("pure");

	tcase_add_test(tc, what_a_script_starts_is_told_by_its_words);
	tcase_add_test(tc, the_rules_of_tcpserver_are_found_in_its_arguments);
	tcase_add_test(tc, the_status_of_daemontools_and_of_runit_is_understood_and_nothing_else);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
