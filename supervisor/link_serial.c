/*
 * supervisor/link_serial.c - heartbeats over a serial line (null modem): 8N1, raw, no flow control.
 *
 * Framing is link_frame.c's. Runs in mailpaird's main process. The descriptor is non-blocking, and
 * output is thrown away before close(), which would otherwise wait for the line to drain.
 */
#include "supervisor/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define READ_MAX 1024		/* bytes for each wake-up: four beats and more */
#define FRAME_MAX (2 * (LINK_DATAGRAM_MAX + 2) + 2)

struct serial {
	int			 fd;
	struct loop_io		*io;
	struct link_deframe	 in;
	uint8_t			 out[FRAME_MAX];	/* one frame, written up to out_done */
	size_t			 out_len, out_done;
};

static const struct { uint32_t baud; speed_t speed; } speeds[] = {
	{ 1200, B1200 }, { 2400, B2400 }, { 4800, B4800 }, { 9600, B9600 }, { 19200, B19200 },
	{ 38400, B38400 }, { 57600, B57600 }, { 115200, B115200 }, { 230400, B230400 },
	{ 460800, B460800 }, { 921600, B921600 },
};

static void
serial_failed(struct link *l, int sys, const char *what)
{
	struct err why;

	err_set(&why, sys, "link %s: %s %s", l->conf->name, what, l->conf->device);
	link_broken(l, &why);
}

/* Write what is left of the frame; false after a failure, when the link is closed already. */
static bool
serial_flush(struct link *l, struct serial *s)
{
	while (s->out_done < s->out_len) {
		ssize_t n = write(s->fd, s->out + s->out_done, s->out_len - s->out_done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno != EAGAIN) {
			serial_failed(l, errno, "cannot write to");
			return false;
		}
		if (n <= 0)
			break;
		s->out_done += (size_t)n;
	}
	loop_io_want(s->io, s->out_done < s->out_len ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	return true;
}

static void
serial_read(struct link *l, struct serial *s)
{
	uint8_t bytes[READ_MAX];
	ssize_t n = read(s->fd, bytes, sizeof(bytes));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		serial_failed(l, n == -1 ? errno : 0, n == -1 ? "cannot read from" : "hung up:");
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		uint64_t bad = s->in.bad;
		size_t len;
		bool whole = link_deframe(&s->in, bytes[i], &len);

		l->dropped += s->in.bad - bad;
		if (whole)
			link_received(l, s->in.buf, len);
		if (!l->open || l->priv != s)	/* closed by whoever received */
			return;
	}
}

static void
serial_ready(int fd, unsigned int ready, void *arg)
{
	struct link *l = arg;
	struct serial *s = l->priv;

	(void)fd;
	if (ready & LOOP_WRITE && !serial_flush(l, s))
		return;
	if (ready & LOOP_READ)
		serial_read(l, s);
}

static bool
serial_raw(int fd, const struct conf_link *conf, struct err *err)
{
	struct termios t;
	speed_t speed = B0;

	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
		if (speeds[i].baud == conf->baud)
			speed = speeds[i].speed;
	if (speed == B0)
		return err_set(err, 0, "link %s: no serial line runs at %u baud", conf->name,
		    conf->baud);
	if (tcgetattr(fd, &t) == -1)
		return err_set(err, errno, "link %s: %s is not a serial line", conf->name,
		    conf->device);
	cfmakeraw(&t);
	t.c_cflag &= ~(tcflag_t)(CSTOPB | PARENB | CRTSCTS | HUPCL);
	t.c_cflag |= CLOCAL | CREAD;
	t.c_iflag &= ~(tcflag_t)(IXOFF | IXANY);
	t.c_cc[VMIN] = 1;		/* with 0 an idle line would read like a hang-up */
	t.c_cc[VTIME] = 0;
	if (cfsetispeed(&t, speed) == -1 || cfsetospeed(&t, speed) == -1 ||
	    tcsetattr(fd, TCSANOW, &t) == -1)
		return err_set(err, errno, "link %s: cannot set %s to %u baud", conf->name,
		    conf->device, conf->baud);
	return true;
}

static bool
serial_open(struct link *l, struct err *err)
{
	struct serial *s;
	int fd = open(l->conf->device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1)
		return err_set(err, errno, "link %s: cannot open %s", l->conf->name,
		    l->conf->device);
	if (!serial_raw(fd, l->conf, err)) {
		close(fd);
		return false;
	}
	/* A second reader would eat beats. A line not to be had alone is still better than none. */
	(void)ioctl(fd, TIOCEXCL);
	(void)tcflush(fd, TCIFLUSH);	/* what came before we listened */
	s = calloc(1, sizeof(*s));
	assert(s != NULL);
	s->fd = fd;
	s->in.skipping = true;		/* we may have come in the middle of a frame */
	s->io = loop_io_new(l->loop, fd, LOOP_READ, serial_ready, l);
	l->priv = s;
	return true;
}

static void
serial_close(struct link *l)
{
	struct serial *s = l->priv;

	loop_io_free(s->io);
	(void)tcflush(s->fd, TCIOFLUSH);
	(void)ioctl(s->fd, TIOCNXCL);
	close(s->fd);
	free(s);
	l->priv = NULL;
}

/*
 * While the line is still busy with an older beat a new one would queue up behind it and come late.
 * It is dropped instead; the next one says the same and newer.
 */
static bool
serial_send(struct link *l, const uint8_t *bytes, size_t len, struct err *err)
{
	struct serial *s = l->priv;
	int queued = 0;

	if (s->out_done < s->out_len || (ioctl(s->fd, TIOCOUTQ, &queued) == 0 && queued > 0))
		return err_set(err, 0, "link %s: %s is still busy with the beat before",
		    l->conf->name, l->conf->device);
	s->out_done = 0;
	s->out_len = link_frame(bytes, len, s->out, sizeof(s->out));
	if (serial_flush(l, s))
		return true;
	if (err != NULL)
		*err = l->trouble;
	return false;
}

const struct link_transport link_serial = {
	.name = "serial", .open = serial_open, .close = serial_close, .send = serial_send,
};
