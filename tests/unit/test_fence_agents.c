/*
 * tests/unit/test_fence_agents.c - the same laws with agents of the distribution: fence_dummy,
 * which keeps its power in a file, and fence_ipmilan against a simulated BMC (ipmi_sim) on
 * loopback. What is not installed is skipped with a line. No root needed.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/fence.h"
#include "tests/unit/harness.h"

static char dir[64];
static char text[4][160];
static struct conf conf;
static struct err err;

static bool
installed(const char *program)
{
	static const char *const places[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
	char path[128];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", places[i], program);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static struct conf_fence *
device(const char *agent)
{
	memset(&conf, 0, sizeof(conf));
	conf.node[0] = "mx1";
	conf.node[1] = "mx2";
	conf.fences = 1;
	conf.fence[0] = (struct conf_fence){
	    .name = "bmc", .node = 1, .agent = agent, .timeout_ms = 60000, .level = 1};
	return &conf.fence[0];
}

static void
file_put(const char *name, mode_t mode, const char *content)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

static void
set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_fence_agents.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
tear_down(void)
{
	const char *argv[] = {"rm", "-r", dir, NULL};
	struct spawn_cmd cmd = {.argv = argv};

	ck_assert_int_eq(spawn_run(&cmd, 10000, NULL, 0, NULL, 0, NULL), 0);
}

static void
off_and_on_with_proof(void)
{
	enum fact power = fence_power(&conf, 1, NULL, &err);

	ck_assert_msg(power == FACT_YES, "%s: %s", fact_name(power), err.text);
	ck_assert_msg(fence_monitor(&conf, 1, NULL, &err), "%s", err.text);
	ck_assert_msg(fence_off(&conf, 1, NULL, &err), "%s", err.text);
	ck_assert_int_eq(fence_power(&conf, 1, NULL, &err), FACT_NO);
	ck_assert_msg(fence_on(&conf, 1, NULL, &err), "%s", err.text);
	ck_assert_int_eq(fence_power(&conf, 1, NULL, &err), FACT_YES);
}

START_TEST(fence_dummy_switches_off_and_on)
{
	struct conf_fence *f = device("fence_dummy");

	file_put("status", 0600, "on");
	snprintf(text[0], sizeof(text[0]), "status_file=%s/status", dir);
	f->options[f->options_len++] = "type=file";
	f->options[f->options_len++] = text[0];
	off_and_on_with_proof();
}
END_TEST

START_TEST(fence_dummy_that_fails_is_no_proof)
{
	struct conf_fence *f = device("fence_dummy");

	f->options[f->options_len++] = "type=fail";
	ck_assert(!fence_off(&conf, 1, NULL, &err)); /* its plug is missing */
	ck_assert_msg(strstr(err.text, "Failed: ") != NULL, "%s", err.text);
}
END_TEST

/* ---------------------------------------------------------------- a BMC */

static unsigned int
free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

static pid_t
bmc_start(unsigned int port)
{
	char lan[1024], control[512], lan_path[128], emu_path[128], state[128];
	pid_t pid;

	file_put("power", 0600, "1");
	snprintf(control, sizeof(control),
	    "#!/bin/sh\ncase \"$2 $3\" in\n'get power') echo power:$(cat "
	    "%s/power);;\n'set power') echo $4 >%s/power;;\nesac\n",
	    dir, dir);
	file_put("control", 0700, control);
	file_put("sim.emu", 0600,
	    "mc_setbmc 0x20\n"
	    "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n");
	snprintf(lan, sizeof(lan),
	    "name \"bmc\"\nstartlan 1\n  addr 127.0.0.1 %u\n  priv_limit admin\n"
	    "  allowed_auths_admin none md2 md5 straight\n"
	    "  allowed_auths_operator none md2 md5 straight\n"
	    "  allowed_auths_user none md2 md5 straight\n"
	    "  allowed_auths_callback none md2 md5 straight\n"
	    "  guid a123456789abcdefa123456789abcdef\nendlan\nchassis_control \"%s/control 0x20\"\n"
	    "user 2 true \"mailpair\" \"s3cr3t\" admin 10 none md2 md5 straight\n",
	    port, dir);
	file_put("lan.conf", 0600, lan);
	snprintf(lan_path, sizeof(lan_path), "%s/lan.conf", dir);
	snprintf(emu_path, sizeof(emu_path), "%s/sim.emu", dir);
	snprintf(state, sizeof(state), "%s/state", dir);
	ck_assert_int_eq(mkdir(state, 0700), 0);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		execlp("ipmi_sim", "ipmi_sim", "-c", lan_path, "-f", emu_path, "-s", state, "-n",
		    (char *)NULL);
		_exit(127);
	}
	ck_assert_int_ne(pid, -1);
	return pid;
}

START_TEST(fence_ipmilan_switches_a_simulated_machine)
{
	uint64_t end = clock_mono_ms() + 60000;
	unsigned int port = free_port();
	struct conf_fence *f = device("fence_ipmilan");
	struct err wrong;
	pid_t bmc;

	snprintf(text[0], sizeof(text[0]), "ipport=%u", port);
	f->options[f->options_len++] = "ip=127.0.0.1";
	f->options[f->options_len++] = text[0];
	f->options[f->options_len++] = "username=mailpair";
	f->options[f->options_len++] = "lanplus=1";
	f->options[f->options_len++] = "cipher=3";
	f->options[f->options_len++] = "method=onoff";
	f->options[f->options_len++] = "power_wait=0";
	f->options[f->options_len++] = "password=s3cr3t";
	bmc = bmc_start(port);
	while (!fence_monitor(&conf, 1, NULL, &err))
		ck_assert_msg(clock_mono_ms() < end, "%s", err.text);
	off_and_on_with_proof();
	f->options[f->options_len - 1] = "password=wr0ng-one";
	ck_assert(!fence_off(&conf, 1, NULL, &wrong));
	ck_assert_msg(strstr(wrong.text, "wr0ng-one") == NULL, "%s", wrong.text);
	f->options[f->options_len - 1] = "password=s3cr3t";
	ck_assert_int_eq(fence_power(&conf, 1, NULL, &err), FACT_YES);
	kill(bmc, SIGKILL);
	waitpid(bmc, NULL, 0);
	f->timeout_ms = 1000; /* a dead BMC: no proof, whatever the agent makes of it */
	ck_assert(!fence_off(&conf, 1, NULL, &err));
	ck_assert_int_eq(fence_power(&conf, 1, NULL, &err), FACT_UNKNOWN);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("fence_agents");
	TCase *tc = tcase_create("agents");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 300);
	if (installed("fence_dummy")) {
		tcase_add_test(tc, fence_dummy_switches_off_and_on);
		tcase_add_test(tc, fence_dummy_that_fails_is_no_proof);
	} else {
		printf("skip: fence_dummy is not installed (package fence-agents)\n");
	}
	if (installed("fence_ipmilan") && installed("ipmi_sim") && installed("ipmitool"))
		tcase_add_test(tc, fence_ipmilan_switches_a_simulated_machine);
	else
		printf("skip: fence_ipmilan, ipmi_sim or ipmitool is not installed (packages "
		       "fence-agents, openipmi, ipmitool)\n");
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
