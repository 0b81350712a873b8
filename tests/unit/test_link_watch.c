/*
 * tests/unit/test_link_watch.c - what happens to an interface, as hints to the links over it. Needs
 * root, for interfaces of its own.
 */
#include "tests/unit/link_bed.h"

/*
 * Which hints the life of an interface gives to a link over it. A second link over the same one,
 * always direct and never opened, shows when the kernel has told all it had to tell.
 */
static void
interface_life(bool direct, struct conf_link link, const char *ifname)
{
	struct link *links[2] = { &end[0].link, &end[1].link };
	int *hints = end[0].hints, *shown = end[1].hints;
	struct link_watch *watch;
	struct err err;

	cable();
	make(link, ifname, "va");
	end[0].conf.link[0].direct = direct;
	end[1].conf.link[0].direct = true;
	watch = link_watch_new(loop, links, 2, &err);
	ck_assert_msg(watch != NULL, "%s", err.text);
	settle();
	must_send(0, 1);	/* only now it may be known which interface it is */
	ip("link add dummy type veth peer name other");
	ip("link set dummy up");
	settle();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(end[i].hints[LINK_HINT_CARRIER_LOST], 0);
		ck_assert_int_eq(end[i].hints[LINK_HINT_VANISHED], 0);
	}

	enter(1);
	ip("link set vb down");
	enter(0);
	ck_assert(wait_for(&shown[LINK_HINT_CARRIER_LOST], 1, PATIENCE_MS));
	settle();
	ck_assert_int_eq(hints[LINK_HINT_CARRIER_LOST], direct);
	enter(1);
	ip("link set vb up");
	enter(0);
	ck_assert(wait_for(&shown[LINK_HINT_CARRIER_BACK], 1, PATIENCE_MS));
	settle();
	ck_assert_int_eq(hints[LINK_HINT_CARRIER_BACK], direct);

	ip("link set va down");
	ck_assert(wait_for(&hints[LINK_HINT_VANISHED], 1, PATIENCE_MS));
	ip("link set va up");
	ck_assert(wait_for(&hints[LINK_HINT_CARRIER_BACK], direct + 1, PATIENCE_MS));
	ip("link del va");
	ck_assert(wait_for(&hints[LINK_HINT_VANISHED], 2, PATIENCE_MS));
	settle();
	/* an interface that goes down or away loses its carrier on the way: the poll may see that first */
	ck_assert_int_ge(hints[LINK_HINT_CARRIER_LOST], direct);
	ck_assert_int_le(hints[LINK_HINT_CARRIER_LOST], 3 * direct);
	ck_assert_int_eq(hints[LINK_HINT_VANISHED], 2);
	cable();
	ck_assert(wait_for(&hints[LINK_HINT_CARRIER_BACK], direct + 2, PATIENCE_MS));
	link_watch_free(watch);
}

START_TEST(a_lost_carrier_is_a_hint_on_a_direct_cable)
{
	struct conf_link link = { .transport = CONF_MULTICAST, .group = "239.0.42.1", .ttl = 1 };

	interface_life(true, link, "va");
}
END_TEST

START_TEST(a_lost_carrier_behind_a_switch_is_none)
{
	struct conf_link link = { .transport = CONF_MULTICAST, .group = "239.0.42.1", .ttl = 1 };

	interface_life(false, link, "va");
}
END_TEST

START_TEST(the_interface_of_a_unicast_link_is_found_by_its_address)
{
	interface_life(true, on_veth, NULL);
}
END_TEST

START_TEST(a_renamed_interface_has_vanished)
{
	struct link *links[1] = { &end[0].link };
	struct link_watch *watch;
	struct err err;

	cable();
	make(on_veth, "va", NULL);
	watch = link_watch_new(loop, links, 1, &err);
	ck_assert_msg(watch != NULL, "%s", err.text);
	settle();
	ip("link set va name vz");
	ck_assert(wait_for(&end[0].hints[LINK_HINT_VANISHED], 1, PATIENCE_MS));
	link_watch_free(watch);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("link_watch");
	TCase *root = tcase_create("root");

	tcase_add_checked_fixture(root, setup, teardown);
	tcase_set_timeout(root, 30);
	tcase_add_test(root, a_lost_carrier_is_a_hint_on_a_direct_cable);
	tcase_add_test(root, a_lost_carrier_behind_a_switch_is_none);
	tcase_add_test(root, the_interface_of_a_unicast_link_is_found_by_its_address);
	tcase_add_test(root, a_renamed_interface_has_vanished);
	if (geteuid() == 0)
		suite_add_tcase(suite, root);
	else
		printf("skipped: the tests in network namespaces need root\n");
	return unit_main(suite);
}
