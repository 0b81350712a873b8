/*
 * tests/unit/test_address_frame.c - the packets that claim an address: their bytes as the RFCs want
 * them, and which received ones mean that somebody else has it.
 */
#include <string.h>

#include "supervisor/address_frame.h"
#include "tests/unit/harness.h"

static const uint8_t own_mac[6] = {0x02, 0, 0, 0, 0, 0x0a};
static const uint8_t other_mac[6] = {0x02, 0, 0, 0, 0, 0x0b};
static const uint8_t v4[4] = {192, 0, 2, 53};
static const uint8_t v4_next[4] = {192, 0, 2, 54};
static const uint8_t v6[16] = {0xfd, [13] = 0xaa, [14] = 0xbb, [15] = 0x53};
static const uint8_t v6_next[16] = {0xfd, [13] = 0xaa, [14] = 0xbb, [15] = 0x54};

START_TEST(an_arp_probe_names_no_sender_address)
{
	static const uint8_t want[28] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0,
	    0, 0, 0, 0, 0, 192, 0, 2, 53};
	struct frame f;

	frame_arp(&f, FRAME_ARP_PROBE, own_mac, v4);
	ck_assert_uint_eq(f.len, sizeof(want));
	ck_assert_mem_eq(f.bytes, want, sizeof(want));
	ck_assert_mem_eq(f.to, "\xff\xff\xff\xff\xff\xff", 6);
}
END_TEST

START_TEST(a_gratuitous_reply_is_addressed_to_its_own_sender)
{
	static const uint8_t want[28] = {0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 0x0a, 192, 0, 2, 53,
	    2, 0, 0, 0, 0, 0x0a, 192, 0, 2, 53};
	struct frame f;

	frame_arp(&f, FRAME_ARP_REPLY, own_mac, v4);
	ck_assert_mem_eq(f.bytes, want, sizeof(want));
}
END_TEST

START_TEST(a_solicitation_goes_to_the_group_of_the_address_and_from_nobody)
{
	static const uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff, 0xaa, 0xbb, 0x53};
	struct frame f;

	frame_solicit(&f, v6);
	ck_assert_uint_eq(f.len, 64);
	ck_assert_uint_eq(f.bytes[7], 255);
	ck_assert_mem_eq(f.bytes + 8, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	ck_assert_mem_eq(f.bytes + 24, group, 16);
	ck_assert_mem_eq(f.to, "\x33\x33\xff\xaa\xbb\x53", 6);
	ck_assert_uint_eq(f.bytes[40], 135);
}
END_TEST

START_TEST(an_advertisement_overrides_and_carries_our_hardware_address)
{
	struct frame f;

	frame_advertise(&f, own_mac, v6, false);
	ck_assert_uint_eq(f.len, 72);
	ck_assert_uint_eq(f.bytes[44], 0x20);
	ck_assert_mem_eq(f.bytes + 8, v6, 16);
	ck_assert_mem_eq(f.bytes + 48, v6, 16);
	ck_assert_mem_eq(f.bytes + 66, own_mac, 6);
	frame_advertise(&f, own_mac, v6, true);
	ck_assert_uint_eq(f.bytes[44], 0xa0);
}
END_TEST

START_TEST(every_form_of_arp_from_its_owner_claims_the_address)
{
	uint8_t mac[6] = {0};
	struct frame f;

	frame_arp(&f, FRAME_ARP_REQUEST, other_mac, v4);
	ck_assert_int_eq(frame_arp_claim(f.bytes, f.len, v4, mac), FRAME_OWNED);
	ck_assert_mem_eq(mac, other_mac, 6);
	frame_arp(&f, FRAME_ARP_REPLY, other_mac, v4);
	ck_assert_int_eq(frame_arp_claim(f.bytes, f.len, v4, mac), FRAME_OWNED);
	frame_arp(&f, FRAME_ARP_PROBE, other_mac, v4);
	ck_assert_int_eq(frame_arp_claim(f.bytes, f.len, v4, mac), FRAME_PROBED);
}
END_TEST

START_TEST(arp_about_another_address_claims_nothing)
{
	uint8_t mac[6] = {0};
	struct frame f;

	for (int form = 0; form < FRAME_ARP_COUNT; form++) {
		frame_arp(&f, (enum frame_arp)form, other_mac, v4_next);
		ck_assert_int_eq(frame_arp_claim(f.bytes, f.len, v4, mac), FRAME_SILENT);
	}
	/* somebody who merely asks for ours */
	frame_arp(&f, FRAME_ARP_REQUEST, other_mac, v4_next);
	memcpy(f.bytes + 24, v4, 4);
	ck_assert_int_eq(frame_arp_claim(f.bytes, f.len, v4, mac), FRAME_SILENT);
	ck_assert_mem_eq(mac, "\0\0\0\0\0", 6);
}
END_TEST

START_TEST(neighbour_messages_of_the_owner_and_of_a_rival_are_told_apart)
{
	uint8_t mac[6] = {0};
	struct frame f;

	frame_advertise(&f, other_mac, v6, false);
	ck_assert_int_eq(frame_neighbour_claim(f.bytes, f.len, own_mac, v6, mac), FRAME_OWNED);
	ck_assert_mem_eq(mac, other_mac, 6);
	ck_assert_int_eq(
	    frame_neighbour_claim(f.bytes, f.len, own_mac, v6_next, mac), FRAME_SILENT);
	frame_solicit(&f, v6);
	ck_assert_int_eq(frame_neighbour_claim(f.bytes, f.len, own_mac, v6, mac), FRAME_PROBED);
	ck_assert_mem_eq(mac, own_mac, 6);
	ck_assert_int_eq(
	    frame_neighbour_claim(f.bytes, f.len, own_mac, v6_next, mac), FRAME_SILENT);
}
END_TEST

START_TEST(a_cut_frame_claims_nothing)
{
	uint8_t mac[6], copy[FRAME_MAX];
	struct frame f;

	frame_arp(&f, FRAME_ARP_REPLY, other_mac, v4);
	for (size_t len = 0; len < f.len; len++)
		ck_assert_int_eq(frame_arp_claim(f.bytes, len, v4, mac), FRAME_SILENT);
	frame_advertise(&f, other_mac, v6, false);
	for (size_t len = 0; len < f.len; len++) {
		memcpy(copy, f.bytes, len);
		ck_assert_int_eq(frame_neighbour_claim(copy, len, own_mac, v6, mac), FRAME_SILENT);
	}
}
END_TEST

START_TEST(one_changed_byte_makes_a_neighbour_message_invalid)
{
	uint8_t mac[6];
	struct frame f;

	for (size_t at = 0; at < 72; at++) {
		if (at >= 1 && at <= 3)
			continue; /* traffic class and flow label are covered by nothing */
		frame_advertise(&f, other_mac, v6, false);
		f.bytes[at] ^= 0x11;
		ck_assert_msg(
		    frame_neighbour_claim(f.bytes, f.len, own_mac, v6, mac) == FRAME_SILENT,
		    "byte %zu changed and the message still counts", at);
	}
}
END_TEST

START_TEST(a_hardware_address_reads_as_operators_write_it)
{
	char text[FRAME_MAC_TEXT];

	ck_assert_str_eq(frame_mac_text(other_mac, text), "02:00:00:00:00:0b");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("address_frame");
	TCase *tc = tcase_create("frames");

	tcase_add_test(tc, an_arp_probe_names_no_sender_address);
	tcase_add_test(tc, a_gratuitous_reply_is_addressed_to_its_own_sender);
	tcase_add_test(tc, a_solicitation_goes_to_the_group_of_the_address_and_from_nobody);
	tcase_add_test(tc, an_advertisement_overrides_and_carries_our_hardware_address);
	tcase_add_test(tc, every_form_of_arp_from_its_owner_claims_the_address);
	tcase_add_test(tc, arp_about_another_address_claims_nothing);
	tcase_add_test(tc, neighbour_messages_of_the_owner_and_of_a_rival_are_told_apart);
	tcase_add_test(tc, a_cut_frame_claims_nothing);
	tcase_add_test(tc, one_changed_byte_makes_a_neighbour_message_invalid);
	tcase_add_test(tc, a_hardware_address_reads_as_operators_write_it);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
