/* SPDX-License-Identifier: ISC */
/*
 * Load for a policy server: N connections, each with one RCPT request under way, as Postfix does.
 * Closed loop by default: the next request goes out when the answer is in. With --rate the
 * requests are due at fixed times whatever the server does, and latency counts from the time a
 * request was due, so that a stall is not hidden by the requests it kept from being sent.
 *
 * A request is a real one of Postfix 3.7 (29 attributes, about 590 bytes) whose client, sender
 * domain, recipient, instance and login change. Every answer must be `action=...` and an empty
 * line, alone; anything else is an error and ends the run with status 1.
 *
 * Request texts are of fixed width and patched in place: the generator shares the machine with
 * the server and must cost little.
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

#define REQUEST_BYTES 1024
#define REPLY_BYTES 4096
#define MAX_CONNECTIONS 16384
#define SILENCE_NS UINT64_C(15000000000)

struct options {
	const char *address;
	double seconds;
	uint64_t requests; /* 0: until the time is over */
	unsigned connections;
	unsigned logins; /* 0: nobody has logged in */
	unsigned domains;
	unsigned recipients; /* of one message */
	double rate;         /* requests a second; 0: closed loop */
	bool in_turn;        /* each login in its turn; else at random */
	bool json;
};

/* Where the changing parts of the request text lie. */
struct places {
	size_t client, port, sender, recipient, instance, login;
};

struct conn {
	int fd;
	bool busy;
	uint64_t due_ns;
	size_t sent, request_len, reply_len;
	unsigned next_idle; /* index of the next idle connection */
	char request[REQUEST_BYTES];
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
	struct places at;
	struct stats stats;
	struct conn *conns;
	int epoll_fd;
	unsigned idle; /* index of the first idle connection, or opt.connections */
	uint64_t started, random;
	uint64_t first_instance; /* drawn, so that a run repeats no instance of the run before */
};

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static uint64_t random_next(struct load *load)
{
	uint64_t x = load->random;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return load->random = x;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- the request text ---- */

static void put_digits(char *at, unsigned width, uint64_t value)
{
	while (width-- > 0) {
		at[width] = (char)('0' + value % 10);
		value /= 10;
	}
}

static void put_hex(char *at, unsigned width, uint64_t value)
{
	while (width-- > 0) {
		at[width] = "0123456789abcdef"[value & 15];
		value >>= 4;
	}
}

static size_t place_of(const char *text, const char *name, size_t skip)
{
	const char *p = strstr(text, name);
	return p == NULL ? 0 : (size_t)(p - text) + strlen(name) + skip;
}

static size_t compose(char *text, size_t size, bool login, struct places *ret_at)
{
	int n = snprintf(text, size,
		"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
		"client_address=198.18.100.100\nclient_name=mail.example.net\n"
		"client_port=34567\nreverse_client_name=mail.example.net\n"
		"server_address=192.0.2.25\nserver_port=%s\nhelo_name=client.example.net\n"
		"sender=sender@d0000.example.net\nrecipient=u0000000@example.com\n"
		"recipient_count=0\nqueue_id=\ninstance=10000.00000000.00000.0\nsize=0\n"
		"etrn_domain=\nstress=\nsasl_method=%s\nsasl_username=%s\nsasl_sender=\n"
		"ccert_subject=\nccert_issuer=\nccert_fingerprint=\n"
		"ccert_pubkey_fingerprint=\nencryption_protocol=\nencryption_cipher=\n"
		"encryption_keysize=0\npolicy_context=\n\n",
		login ? "587" : "25", login ? "PLAIN" : "",
		login ? "l000000@d0000.example.net" : "");
	*ret_at = (struct places){
		.client = place_of(text, "client_address=198.18.", 0),
		.port = place_of(text, "client_port=", 0),
		.sender = place_of(text, "\nsender=sender@d", 0),
		.recipient = place_of(text, "\nrecipient=u", 0),
		.instance = place_of(text, "\ninstance=10000.", 0),
		.login = login ? place_of(text, "sasl_username=l", 0) : 0,
	};
	return (size_t)n;
}

static void vary(struct load *load, struct conn *c)
{
	const struct options *opt = &load->opt;
	char *text = c->request;
	uint64_t message = load->started / opt->recipients;
	uint64_t r = random_next(load);
	unsigned domain = (unsigned)(r % opt->domains);
	put_digits(text + load->at.client, 3, 100 + message % 100);
	put_digits(text + load->at.client + 4, 3, 100 + message / 100 % 100);
	put_digits(text + load->at.port, 5, 10000 + message % 50000);
	put_digits(text + load->at.recipient, 7, load->started % 10000000);
	put_hex(text + load->at.instance, 8, load->first_instance + message);
	if (load->at.login != 0) {
		unsigned login = (unsigned)((opt->in_turn ? load->started : r >> 20) % opt->logins);
		domain = login % opt->domains;
		put_digits(text + load->at.login, 6, login);
		put_digits(text + load->at.login + 8, 4, domain);
	}
	put_digits(text + load->at.sender, 4, domain);
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
		c->request_len =
			compose(c->request, REQUEST_BYTES, load->opt.logins > 0, &load->at);
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
	vary(load, c);
	load->started++;
	c->busy = true;
	c->due_ns = due_ns;
	c->reply_len = 0;
	/* 600 bytes always fit an empty socket buffer. */
	if (write(c->fd, c->request, c->request_len) != (ssize_t)c->request_len)
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

static void usage(void)
{
	fprintf(stderr, "usage: load [--seconds S] [--requests N] [--connections N] [--logins N]\n"
			"            [--domains N] [--recipients N] [--rate N] [--in-turn] [--json]\n"
			"            inet:HOST:PORT | unix:/path\n");
	exit(64);
}

static bool options_valid(const struct options *opt)
{
	return opt->connections > 0 && opt->connections <= MAX_CONNECTIONS && opt->logins <= 1000000 &&
		opt->domains > 0 && opt->domains <= 10000 && opt->recipients > 0 &&
		(opt->seconds > 0 || opt->requests > 0);
}

static struct options parse_options(int argc, char **argv)
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
		{NULL, 0, NULL, 0},
	};
	struct options opt = {.connections = 8, .logins = 10000, .domains = 50, .recipients = 1};
	for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		switch (c) {
		case 's': opt.seconds = strtod(optarg, NULL); break;
		case 'n': opt.requests = strtoull(optarg, NULL, 10); break;
		case 'c': opt.connections = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'l': opt.logins = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'd': opt.domains = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'r': opt.recipients = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'R': opt.rate = strtod(optarg, NULL); break;
		case 't': opt.in_turn = true; break;
		case 'j': opt.json = true; break;
		default: usage();
		}
	}
	if (optind + 1 != argc || !options_valid(&opt))
		usage();
	opt.address = argv[optind];
	return opt;
}

int main(int argc, char **argv)
{
	static struct load load;
	load.opt = parse_options(argc, argv);
	load.random = now_ns() | 1;
	load.first_instance = random_next(&load);
	open_all(&load);
	uint64_t start = now_ns();
	uint64_t end = UINT64_MAX;
	if (load.opt.seconds > 0)
		end = start + (uint64_t)(load.opt.seconds * 1e9);
	run(&load, start, end);
	print_results(&load, (double)(now_ns() - start) / 1e9);
	return load.stats.errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
