/* SPDX-License-Identifier: ISC */
/*
 * Load for a policy server: N connections, each with one request under way, as Postfix does.
 * Closed loop by default: the next request goes out when the answer is in. With --rate the
 * requests are due at fixed times whatever the server does, and latency counts from the time a
 * request was due, so that a stall is not hidden by the requests it kept from being sent.
 *
 * What is asked, load/mix.c makes up. Every answer must be `action=...` and an empty
 * line, alone; anything else is an error and ends the run with status 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/load/mix.h"

#define REPLY_BYTES 4096
#define MAX_CONNECTIONS 16384
#define SILENCE_NS UINT64_C(15000000000)

struct options {
	const char *address;
	double seconds;
	uint64_t requests; /* 0: until the time is over */
	unsigned connections;
	double rate; /* requests a second; 0: closed loop */
	bool json;
};

struct conn {
	int fd;
	bool busy;
	uint64_t due_ns;
	size_t reply_len;
	unsigned next_idle; /* index of the next idle connection */
	struct mix_smtpd smtpd;
	char reply[REPLY_BYTES];
};

/* Latencies in buckets of 1/64 of a power of two: two digits exact, whatever the range. */
#define HISTOGRAM_SUB 64
#define HISTOGRAM_BUCKETS (40 * HISTOGRAM_SUB)

struct stats {
	uint64_t histogram[HISTOGRAM_BUCKETS];
	uint64_t done, dunno, errors, max_ns;
};

struct load {
	struct options opt;
	struct mix mix;
	struct stats stats;
	struct conn *conns;
	int epoll_fd;
	unsigned idle; /* index of the first idle connection, or opt.connections */
	uint64_t started;
};

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- connections ---- */

static int connect_unix(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	if (len >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, len);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0)
		return -1;
	return fd;
}

static int connect_inet(const char *host_port)
{
	char host[64];
	const char *colon = strrchr(host_port, ':');
	struct sockaddr_in sin = {.sin_family = AF_INET};
	if (colon == NULL || (size_t)(colon - host_port) >= sizeof(host)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(host, host_port, (size_t)(colon - host_port));
	host[colon - host_port] = '\0';
	sin.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sin, sizeof(sin)) != 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int connect_to(const char *address)
{
	if (strncmp(address, "unix:", 5) == 0)
		return connect_unix(address + 5);
	if (strncmp(address, "inet:", 5) == 0)
		return connect_inet(address + 5);
	errno = EINVAL;
	return -1;
}

static void open_all(struct load *load)
{
	const char *address = load->opt.address;
	load->conns = calloc(load->opt.connections, sizeof(*load->conns));
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load->conns == NULL || load->epoll_fd < 0)
		die("start");
	for (unsigned i = 0; i < load->opt.connections; i++) {
		struct conn *c = &load->conns[i];
		c->fd = connect_to(address);
		if (c->fd < 0)
			die(address);
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
		struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
		if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
			die("epoll_ctl");
		c->next_idle = i + 1;
	}
}

/* ---- one request ---- */

static unsigned bucket_of(uint64_t ns)
{
	if (ns < HISTOGRAM_SUB)
		return (unsigned)ns;
	unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - 6u;
	unsigned bucket = (shift + 1) * HISTOGRAM_SUB + (unsigned)(ns >> shift) - HISTOGRAM_SUB;
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static double bucket_us(unsigned bucket)
{
	if (bucket < HISTOGRAM_SUB)
		return bucket / 1e3;
	unsigned shift = bucket / HISTOGRAM_SUB - 1;
	return (double)((uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift) / 1e3;
}

static bool more_wanted(const struct load *load, uint64_t now, uint64_t end)
{
	return now < end && (load->opt.requests == 0 || load->started < load->opt.requests);
}

static void send_request(struct load *load, struct conn *c, uint64_t due_ns)
{
	mix_next(&load->mix, &c->smtpd);
	load->started++;
	c->busy = true;
	c->due_ns = due_ns;
	c->reply_len = 0;
	/* 1 KiB always fits an empty socket buffer. */
	if (write(c->fd, c->smtpd.request, c->smtpd.len) != (ssize_t)c->smtpd.len)
		die("write");
}

static void count_reply(struct stats *stats, const struct conn *c, uint64_t now)
{
	uint64_t ns = now > c->due_ns ? now - c->due_ns : 0;
	stats->histogram[bucket_of(ns)]++;
	stats->done++;
	if (ns > stats->max_ns)
		stats->max_ns = ns;
	if (c->reply_len == 14 && memcmp(c->reply, "action=DUNNO\n\n", 14) == 0)
		stats->dunno++;
}

static bool bad_reply(struct load *load, const struct conn *c, const char *why)
{
	fprintf(stderr, "load: %s: %.*s\n", why, (int)c->reply_len, c->reply);
	load->stats.errors++;
	return false;
}

/* True when the answer is complete. What is no answer, or one that nobody asked for, ends the run. */
static bool read_reply(struct load *load, struct conn *c)
{
	ssize_t n = read(c->fd, c->reply + c->reply_len, REPLY_BYTES - c->reply_len);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		return bad_reply(load, c, "the server closed a connection");
	c->reply_len += (size_t)n;
	if (!c->busy)
		return bad_reply(load, c, "an answer too many");
	const char *end = memmem(c->reply, c->reply_len, "\n\n", 2);
	if (end == NULL && c->reply_len < REPLY_BYTES)
		return false;
	if (end != c->reply + c->reply_len - 2 || c->reply_len < 10 ||
		memcmp(c->reply, "action=", 7) != 0 ||
		memchr(c->reply, '\n', c->reply_len - 2) != NULL)
		return bad_reply(load, c, "not an answer");
	c->busy = false;
	mix_answered(&c->smtpd, c->reply[7] == '4' || c->reply[7] == '5');
	return true;
}

/* ---- the run ---- */

static void send_due(struct load *load, uint64_t start, uint64_t now, uint64_t end)
{
	while (load->idle < load->opt.connections && more_wanted(load, now, end)) {
		uint64_t due = now;
		if (load->opt.rate > 0) {
			due = start + (uint64_t)((double)load->started * 1e9 / load->opt.rate);
			if (due > now)
				return;
		}
		struct conn *c = &load->conns[load->idle];
		load->idle = c->next_idle;
		send_request(load, c, due);
	}
}

/* Waits for answers. With --rate it polls instead: what is due must not wait for a timer. */
static int wait_events(struct load *load, struct epoll_event *events, int max)
{
	int n = epoll_wait(load->epoll_fd, events, max, load->opt.rate > 0 ? 0 : 1000);
	if (n < 0 && errno != EINTR)
		die("epoll_wait");
	return n;
}

static void on_readable(struct load *load, unsigned index, uint64_t end)
{
	struct conn *c = &load->conns[index];
	if (!read_reply(load, c))
		return;
	uint64_t now = now_ns();
	count_reply(&load->stats, c, now);
	if (load->opt.rate <= 0 && more_wanted(load, now, end)) {
		send_request(load, c, now);
	} else {
		c->next_idle = load->idle;
		load->idle = index;
	}
}

static void run(struct load *load, uint64_t start, uint64_t end)
{
	struct epoll_event events[256];
	uint64_t now = start, last_answer = start;
	while (load->stats.errors == 0 &&
		(more_wanted(load, now, end) || load->stats.done < load->started)) {
		send_due(load, start, now, end);
		int n = wait_events(load, events, 256);
		for (int i = 0; i < n; i++)
			on_readable(load, events[i].data.u32, end);
		now = now_ns();
		if (n > 0 || load->stats.done == load->started)
			last_answer = now;
		if (now > last_answer + SILENCE_NS) {
			fprintf(stderr, "load: no answer for 15 seconds\n");
			load->stats.errors++;
		}
	}
}

static double percentile_us(const struct stats *stats, double share)
{
	uint64_t wanted = (uint64_t)((double)stats->done * share);
	uint64_t seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += stats->histogram[i];
		if (seen > wanted)
			return bucket_us(i);
	}
	return (double)stats->max_ns / 1e3;
}

static void print_results(const struct load *load, double seconds)
{
	const struct stats *s = &load->stats;
	double rate = seconds > 0 ? (double)s->done / seconds : 0;
	double p50 = percentile_us(s, 0.5), p90 = percentile_us(s, 0.9);
	double p99 = percentile_us(s, 0.99), max = (double)s->max_ns / 1e3;
	if (load->opt.json) {
		printf("{\"requests\": %" PRIu64 ", \"seconds\": %.4f, \"rate\": %.1f, ", s->done,
			seconds, rate);
		printf("\"dunno\": %" PRIu64 ", \"errors\": %" PRIu64 ", ", s->dunno, s->errors);
		printf("\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
			p50, p90, p99, max);
		return;
	}
	printf("%" PRIu64 " requests in %.3f s: %.0f/s, %" PRIu64 " dunno, %" PRIu64 " errors; ",
		s->done, seconds, rate, s->dunno, s->errors);
	printf("us: p50 %.1f p90 %.1f p99 %.1f max %.1f\n", p50, p90, p99, max);
}

#define USAGE                                                                                         \
	"usage: load [--mix mail|rcpt] [--seconds S] [--requests N] [--connections N] [--logins N]\n" \
	"            [--domains N] [--recipients N] [--rate N] [--in-turn] [--json]\n"                \
	"            inet:HOST:PORT | unix:/path\n"

/* Texts of at most 509 bytes each, as C11 promises to take them. */
static const char *const help[] = {
	USAGE,
	"\nEach connection is an smtpd process with one request under way, of 29 attributes as Postfix\n"
	"3.7 sends them. With --logins N (10000; 0: nobody) every client has logged in, over TLS in\n"
	"the mix mail, as one of N, spread over --domains (50).\n",
	"\n--mix mail (the default) is what Postfix asks with the lines of README.md in main.cf: at\n"
	"every RCPT, at DATA, and at END-OF-MESSAGE. An smtpd serves one client after the other; each is\n"
	"drawn anew, sends 1 message (70 of 100 sessions), 2 (15), 3 (10) or 5 (5), each to 1\n"
	"recipient (70 of 100), 2 (13), 3 (8), 5 (5), 10 (3) or 50 (1). That is 2.25 recipients a\n"
	"message and 1.55 messages a session, 53 RCPTs in 100 requests.\n",
	"The shares are our assumption, no measurement of anybody's mail. Client, login and service\n"
	"stay the same for 6.6 requests on average, as they do for a real smtpd; three of four recipients\n"
	"are elsewhere (none without login); one message in ten has another sender than the login.\n",
	"\n--mix rcpt is the harshest: each request is the first RCPT of a new SMTP session with a new\n"
	"login, so that nothing learned from the request before helps, and nothing is ever\n"
	"settled. --recipients N (1) gives N requests in a row the same client, port and instance (they\n"
	"go out on different connections), --in-turn takes the logins one by one.\n",
};

static void usage(void)
{
	fputs(USAGE, stderr);
	exit(64);
}

static void show_help(void)
{
	for (size_t i = 0; i < sizeof(help) / sizeof(help[0]); i++)
		fputs(help[i], stdout);
	exit(EXIT_SUCCESS);
}

static bool options_valid(const struct options *opt, const struct mix *mix)
{
	return opt->connections > 0 && opt->connections <= MAX_CONNECTIONS &&
	       mix->logins <= 1000000 && mix->domains > 0 && mix->domains <= 10000 &&
	       mix->recipients > 0 && (opt->seconds > 0 || opt->requests > 0);
}

static enum mix_kind parse_mix(const char *name)
{
	if (strcmp(name, "mail") != 0 && strcmp(name, "rcpt") != 0)
		usage();
	return strcmp(name, "mail") == 0 ? MIX_MAIL : MIX_RCPT;
}

static struct options parse_options(int argc, char **argv, struct mix *mix)
{
	static const struct option names[] = {
		{"seconds", required_argument, NULL, 's'},
		{"requests", required_argument, NULL, 'n'},
		{"connections", required_argument, NULL, 'c'},
		{"logins", required_argument, NULL, 'l'},
		{"domains", required_argument, NULL, 'd'},
		{"recipients", required_argument, NULL, 'r'},
		{"rate", required_argument, NULL, 'R'},
		{"in-turn", no_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		{"mix", required_argument, NULL, 'm'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options opt = {.connections = 8};
	for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		switch (c) {
		case 's':
			opt.seconds = strtod(optarg, NULL);
			break;
		case 'n':
			opt.requests = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			opt.connections = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'l':
			mix->logins = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			mix->domains = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			mix->recipients = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'R':
			opt.rate = strtod(optarg, NULL);
			break;
		case 't':
			mix->in_turn = true;
			break;
		case 'j':
			opt.json = true;
			break;
		case 'm':
			mix->kind = parse_mix(optarg);
			break;
		case 'h':
			show_help();
			break;
		default:
			usage();
		}
	}
	if (optind + 1 != argc || !options_valid(&opt, mix))
		usage();
	opt.address = argv[optind];
	return opt;
}

int main(int argc, char **argv)
{
	static struct load load;
	load.mix = (struct mix){.kind = MIX_MAIL, .logins = 10000, .domains = 50, .recipients = 1};
	load.opt = parse_options(argc, argv, &load.mix);
	load.mix.random = now_ns() | 1;
	load.mix.first_instance = load.mix.random * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	open_all(&load);
	uint64_t start = now_ns();
	uint64_t end = UINT64_MAX;
	if (load.opt.seconds > 0)
		end = start + (uint64_t)(load.opt.seconds * 1e9);
	run(&load, start, end);
	print_results(&load, (double)(now_ns() - start) / 1e9);
	return load.stats.errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
