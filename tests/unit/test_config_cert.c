/*
 * tests/unit/test_config_cert.c - certificates that openssl has made in the test, as certbot and people lay them out: whole, of two
 * renewals, expired, with a chain that lacks a part, for another name. Needs root (a box of its own) and openssl.
 */
#include "tests/unit/config_case.h"

#define LIVE "etc/letsencrypt/live/mx.test/"

/* Once: an authority, one between, and certificates of the latter. They stay the same for all tests. */
static const char make[] =
    "set -e; cd /tmp/pki; q='-nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256'\n"
    "openssl req -x509 $q -keyout root.key -out root.pem -subj '/CN=Root of the test' -days 30\n"
    "printf 'basicConstraints=critical,CA:TRUE\\n' >ca.ext\n"
    "openssl req $q -keyout ca.key -out ca.csr -subj '/CN=Between of the test'\n"
    "openssl x509 -req -in ca.csr -CA root.pem -CAkey root.key -CAcreateserial -days 20 -extfile ca.ext -out ca.pem\n"
    "leaf() { openssl req $q -keyout $1.key -out $1.csr -subj /CN=mx.test\n"
    "    printf 'subjectAltName=DNS:mx.test,DNS:imap.mx.test,IP:192.0.2.1\\n' >$1.ext\n"
    "    openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile $1.ext $2 -out $1.pem; cat $1.pem ca.pem >$1.full; }\n"
    "leaf one '-days 10'; leaf two '-days 10'\n"
    "mkdir demo; : >index; echo 01 >serial; echo unique_subject=no >index.attr\n"
    "printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index\\nserial=serial\\nnew_certs_dir=demo\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' >ca.conf\n"
    "old() { openssl ca -batch -config ca.conf -cert ca.pem -keyfile ca.key -in one.csr -startdate $2 -enddate $3 -notext -out $1.pem; cat $1.pem ca.pem >$1.full; }\n"
    "old past 20200101000000Z 20200201000000Z\n"
    "old future 20900101000000Z 20910101000000Z\n"
    "openssl req -x509 $q -keyout self.key -out self.pem -subj /CN=mx.test -days 5\n"
    "openssl pkey -in one.key -aes128 -passout pass:secret -out locked.key\n"
    "openssl x509 -in one.pem -outform der -out one.der\n"
    "head -n 3 one.key >cut.key; echo '-----END PRIVATE KEY-----' >>cut.key\n";

static const char *
of(const char *name)
{
	static char path[4][128];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "/tmp/pki/%s", name);
	return path[turn];
}

/* certbot's layout: links in live to the files of one renewal. */
static void
renewal(const char *key, const char *cert, const char *chain, const char *full)
{
	stage_copy("etc/letsencrypt/archive/mx.test/privkey2.pem", of(key));
	stage_copy("etc/letsencrypt/archive/mx.test/cert2.pem", of(cert));
	stage_copy("etc/letsencrypt/archive/mx.test/chain2.pem", of(chain));
	stage_copy("etc/letsencrypt/archive/mx.test/fullchain2.pem", of(full));
	stage_link(LIVE "privkey.pem", "../../archive/mx.test/privkey2.pem");
	stage_link(LIVE "cert.pem", "../../archive/mx.test/cert2.pem");
	stage_link(LIVE "chain.pem", "../../archive/mx.test/chain2.pem");
	stage_link(LIVE "fullchain.pem", "../../archive/mx.test/fullchain2.pem");
}

START_TEST(a_whole_renewal_is_valid)
{
	case_begin();
	have(LIVE "README", "text\n");
	renewal("one.key", "one.pem", "ca.pem", "one.full");
	valid();
	says("CN=mx.test");
	says("valid until");
}
END_TEST

START_TEST(a_valid_certificate_may_still_be_refused_by_the_command_of_its_tree)
{
	static const struct set_tree tree = { "/etc/letsencrypt/", "openssl x509 -in $MAILPAIR_STAGED/" LIVE "cert.pem -noout && exit 5" };

	case_begin();
	rules = (struct set_rules){ NULL, 0, &tree, 1 };
	renewal("one.key", "one.pem", "ca.pem", "one.full");
	invalid("with status 5");
}
END_TEST

START_TEST(the_key_of_another_renewal_does_not_fit)
{
	case_begin();
	renewal("two.key", "one.pem", "ca.pem", "one.full");
	invalid("does not belong to the key /" LIVE "privkey.pem");
	ck_assert_str_eq(result.file, LIVE "fullchain.pem");
}
END_TEST

START_TEST(cert_and_fullchain_of_two_renewals_do_not_fit)
{
	case_begin();
	renewal("one.key", "two.pem", "ca.pem", "one.full");
	invalid("/" LIVE "cert.pem (CN=mx.test) does not belong to the key");
}
END_TEST

START_TEST(half_a_renewal_beside_what_is_in_place_is_seen)
{
	case_begin();
	renewal("one.key", "one.pem", "ca.pem", "one.full");
	for (size_t i = 0; i < 4; i++) {	/* the first four are in place now */
		parents(at_root(change[i].path));
		ck_assert_int_eq(box_run("cp", change[i].from, at_root(change[i].path), NULL, NULL), 0);
	}
	ck_assert(view_mkdirs(at_root("etc/letsencrypt/live/mx.test"), NULL));
	for (size_t i = 4; i < 8; i++)
		ck_assert_int_eq(box_run("cp", "-d", change[i].from, at_root(change[i].path), NULL), 0);
	changes = 0;
	stage_copy("etc/letsencrypt/archive/mx.test/privkey2.pem", of("two.key"));
	invalid("does not belong to the key");
	changes = 0;
	stage_link(LIVE "privkey.pem", "../../archive/mx.test/privkey3.pem");
	invalid("has no private key");
	changes = 0;
	stage_copy("etc/letsencrypt/archive/mx.test/privkey2.pem", of("one.key"));
	valid();
}
END_TEST

START_TEST(an_expired_certificate_is_refused_and_its_last_day_told)
{
	case_begin();
	renewal("one.key", "past.pem", "ca.pem", "past.full");
	invalid("has expired on Feb  1 00:00:00 2020");
}
END_TEST

START_TEST(a_certificate_of_the_future_is_refused)
{
	case_begin();
	renewal("one.key", "future.pem", "ca.pem", "future.full");
	invalid("is not valid before Jan  1 00:00:00 2090");
}
END_TEST

START_TEST(a_chain_that_lacks_its_issuer_does_not_build)
{
	static const struct set_certificate one = { "mail", "/etc/mail.pem", "/etc/mail.key", NULL, NULL };

	case_begin();
	rules = (struct set_rules){ &one, 1, NULL, 0 };
	stage_copy("etc/mail.pem", of("one.pem"));
	stage_copy("etc/mail.key", of("one.key"));
	invalid("CN=Between of the test");
	says("is missing");
}
END_TEST

START_TEST(a_chain_of_another_authority_does_not_build)
{
	static const struct set_certificate one = { "mail", "/etc/mail.pem", "/etc/mail.key", "/etc/chain.pem", NULL };

	case_begin();
	rules = (struct set_rules){ &one, 1, NULL, 0 };
	stage_copy("etc/mail.pem", of("one.pem"));
	stage_copy("etc/mail.key", of("one.key"));
	stage_copy("etc/chain.pem", of("self.pem"));
	invalid("does not build");
	changes--;
	stage_copy("etc/chain.pem", of("ca.pem"));
	valid();
}
END_TEST

START_TEST(every_name_of_the_service_is_covered)
{
	static const char *const good[] = { "mx.test", "imap.mx.test", "192.0.2.1", NULL }, *const bad[] = { "mx.test", "smtp.mx.test", NULL },
		*const address[] = { "192.0.2.2", NULL };
	static struct set_certificate one = { "mail", "/etc/mail.pem", "/etc/mail.key", NULL, good };

	case_begin();
	rules = (struct set_rules){ &one, 1, NULL, 0 };
	stage_copy("etc/mail.pem", of("one.full"));
	stage_copy("etc/mail.key", of("one.key"));
	valid();
	one.names = bad;
	invalid("does not cover the name \"smtp.mx.test\"");
	one.names = address;
	invalid("\"192.0.2.2\"");
	one.names = good;
}
END_TEST

START_TEST(a_pair_in_etc_ssl_that_has_signed_itself_is_its_own_chain)
{
	case_begin();
	have("etc/ssl/private/other.key", "not ours\n");
	stage_copy("etc/ssl/certs/mail.pem", of("self.pem"));
	stage_copy("etc/ssl/private/mail.key", of("self.key"));
	valid();
	changes--;
	stage_copy("etc/ssl/private/mail.key", of("one.key"));
	invalid("/etc/ssl/certs/mail.pem (CN=mx.test) does not belong to the key /etc/ssl/private/mail.key");
}
END_TEST

START_TEST(an_authority_alone_needs_no_key)
{
	case_begin();
	stage_copy("etc/ssl/certs/Authority.pem", of("root.pem"));
	valid();
	changes = 0;
	stage("etc/ssl/certs/Authority.pem", "\n");
	invalid("is not PEM");
}
END_TEST

START_TEST(der_damaged_and_encrypted_files_are_told_apart)
{
	static const struct { const char *cert, *key, *says; } row[] = {
		{ "one.der", "one.key", "not PEM but DER" },
		{ "one.full", "cut.key", "no private key that openssl can read" },
		{ "one.full", "locked.key", "is encrypted" },
		{ "one.key", "one.key", "holds no certificate" },
		{ "one.full", "one.pem", "holds no private key" },
	};
	static const struct set_certificate one = { "mail", "/etc/mail.pem", "/etc/mail.key", NULL, NULL };

	case_begin();
	rules = (struct set_rules){ &one, 1, NULL, 0 };
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		changes = 0;
		stage_copy("etc/mail.pem", of(row[i].cert));
		stage_copy("etc/mail.key", of(row[i].key));
		invalid(row[i].says);
	}
	changes = 0;
	stage_copy("etc/mail.pem", of("one.full"));
	stage_removal("etc/mail.key");
	invalid("/etc/mail.key is missing");
}
END_TEST

/* A stand-in for openssl keeps what it was called with, and its environment. */
START_TEST(no_byte_of_a_private_key_leaves_its_file)
{
	static char key[4096], text[65536];
	size_t len;
	FILE *in;

	case_begin();
	renewal("one.key", "one.pem", "ca.pem", "one.full");
	ck_assert_int_eq(mkdir("/tmp/bin", 0755), 0);
	box_write("/tmp/bin/openssl", "#!/bin/sh\n{ printf '%%s\\n' \"$@\"; env; } >>/tmp/bin/said\n/usr/bin/openssl \"$@\" | tee -a /tmp/bin/out; test $? = 0\n");
	ck_assert_int_eq(chmod("/tmp/bin/openssl", 0755), 0);
	ck_assert_int_eq(mount("/tmp/bin", "/usr/local/bin", NULL, MS_BIND, NULL), 0);
	valid();
	ck_assert_int_eq(umount("/usr/local/bin"), 0);
	ck_assert_ptr_nonnull(in = fopen("/tmp/pki/one.key", "re"));
	ck_assert_ptr_nonnull(fgets(key, sizeof key, in));
	ck_assert_ptr_nonnull(fgets(key, sizeof key, in));
	fclose(in);
	key[32] = '\0';		/* of its first row */
	for (int i = 0; i < 2; i++) {
		ck_assert_ptr_nonnull(in = fopen(i == 0 ? "/tmp/bin/said" : "/tmp/bin/out", "re"));
		len = fread(text, 1, sizeof text - 1, in);
		text[len] = '\0';
		fclose(in);
		ck_assert_uint_gt(len, 100);
		ck_assert_ptr_null(strstr(text, key));
		ck_assert_ptr_null(strstr(text, "PRIVATE"));
	}
	ck_assert_ptr_null(strstr(result.why, key));
	ck_assert_int_eq(access(CASE_SCRATCH "/verify", F_OK), -1);
}
END_TEST

static int
run(void)
{
	Suite *suite = suite_create("config_cert");
	TCase *tc = tcase_create("all");

	if (mkdir("/tmp/pki", 0700) == -1 || box_run("/bin/sh", "-c", make, NULL, NULL) != 0) {
		printf("openssl could not make the certificates\n0 passed, 1 failed\n");
		return 1;
	}
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_whole_renewal_is_valid);
	tcase_add_test(tc, a_valid_certificate_may_still_be_refused_by_the_command_of_its_tree);
	tcase_add_test(tc, the_key_of_another_renewal_does_not_fit);
	tcase_add_test(tc, cert_and_fullchain_of_two_renewals_do_not_fit);
	tcase_add_test(tc, half_a_renewal_beside_what_is_in_place_is_seen);
	tcase_add_test(tc, an_expired_certificate_is_refused_and_its_last_day_told);
	tcase_add_test(tc, a_certificate_of_the_future_is_refused);
	tcase_add_test(tc, a_chain_that_lacks_its_issuer_does_not_build);
	tcase_add_test(tc, a_chain_of_another_authority_does_not_build);
	tcase_add_test(tc, every_name_of_the_service_is_covered);
	tcase_add_test(tc, a_pair_in_etc_ssl_that_has_signed_itself_is_its_own_chain);
	tcase_add_test(tc, an_authority_alone_needs_no_key);
	tcase_add_test(tc, der_damaged_and_encrypted_files_are_told_apart);
	tcase_add_test(tc, no_byte_of_a_private_key_leaves_its_file);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}

int
main(void)
{
	return box_enter(access("/usr/bin/openssl", X_OK) == 0, "openssl", run);
}
