/* SPDX-License-Identifier: ISC */
/*
 * c-ares on libuv: a poll handle for each of its sockets and one coarse timer while questions are
 * out.
 *
 * Channels. Questions go to the current channel. When resolv.conf has changed or the channel has
 * asked enough, a new one takes over; the old one is retired and destroyed when its last question
 * has ended. c-ares 1.18 can neither read its configuration again nor change its source port while
 * it is busy.
 *
 * Sockets. c-ares closes a socket right after it has said so, and the number may be another
 * socket's at once, while a poll handle may be closed neither in its own callback nor, later, over
 * a number that is somebody else's by then (libuv would take that one's events away). So the
 * handle watches a duplicate, which is ours: it is stopped at once, and closed with its descriptor
 * in the next turn.
 *
 * Callbacks. c-ares calls back from inside ares_query(), for that question and also for others
 * that were on the same socket. The first is passed on at once, which the backend's contract
 * allows; the others are kept for the next turn, so that nobody is woken from inside a question of
 * his own.
 *
 * An answer is handed on as a message only if it says NOERROR or NXDOMAIN; all else is no answer.
 */
#include "daemon/dns/dns_ares.h"

#include <arpa/nameser.h>
#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

/* From 1.28 on ares_query() is deprecated; its successor is not in 1.18. */
#define CARES_NO_DEPRECATED 1
#include <ares.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/list.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_CHECK_MS 5000
#define TICK_MS 50
#define EDNS_BYTES 1232                /* what passes everywhere unfragmented (DNS flag day 2020) */
#define CHANNEL_QUESTIONS 1000         /* then the next channel, and with it another source port */
#define MAX_RETIRED 4
#define SERVERS_BYTES 8192

struct file_identity {
	uint64_t device, inode, size;
	int64_t changed_ns;
};

struct channel {
	struct dns_ares *ares;
	struct list node;              /* in `retired`; alone while current */
	struct list sockets;
	ares_channel handle;
	unsigned outstanding, asked;
	struct file_identity resolv_conf; /* as it was when the channel was made */
};

struct watch {
	struct list node;              /* in the channel's sockets; in `stopped` once stopped */
	struct channel *channel;       /* not to be used once stopped */
	uv_poll_t poll;
	bool stopped;
	ares_socket_t fd;              /* c-ares' own */
	int own_fd;
	int events;
};

struct question {
	struct list node;              /* in `late`, with the answer below */
	struct channel *channel;
	struct dns_flight *flight;
	uint8_t *message;
	size_t message_len;
	char name[DNS_NAME_BYTES];
};

struct dns_ares {
	struct dns_backend backend;
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_idle_t tidy;                /* active when there is something to be done next turn */
	unsigned open_handles;
	struct channel *current;
	struct list retired, stopped, late;
	const struct question
		*asking; /* ares_query() is running for it; it may have ended in there */
	char *servers;                 /* NULL: the system's */
	char *resolv_conf;
	uint64_t checked_ms;           /* resolv.conf, by the loop's time; 0: not yet */
	int timeout_ms, tries;
};

/* ---- the end of things ---- */

static void tidy_soon(struct dns_ares *ares);

static void handle_closed(struct dns_ares *ares)
{
	if (--ares->open_handles > 0)
		return;
	ares_library_cleanup();
	free(ares->servers);
	free(ares->resolv_conf);
	free(ares);
}

static void on_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *watch = LIST_ENTRY(handle, struct watch, poll);
	struct dns_ares *ares = handle->data;

	close(watch->own_fd);
	free(watch);
	handle_closed(ares);
}

static void close_stopped(struct dns_ares *ares)
{
	struct list *node;

	while ((node = list_pop(&ares->stopped)) != NULL)
		uv_close((uv_handle_t *)&LIST_ENTRY(node, struct watch, node)->poll,
			on_watch_closed);
}

/* ---- sockets ---- */

static void watch_stop(struct watch *watch)
{
	struct dns_ares *ares = watch->channel->ares;

	uv_poll_stop(&watch->poll);
	list_remove(&watch->node);
	list_append(&ares->stopped, &watch->node);
	watch->stopped = true;
	tidy_soon(ares);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = LIST_ENTRY(poll, struct watch, poll);
	bool readable = status < 0 || events & UV_READABLE;
	bool writable = status < 0 || events & UV_WRITABLE;

	if (watch->stopped)
		return;
	/* An error of the socket is c-ares' to find: it reads, and fails. */
	ares_process_fd(watch->channel->handle, readable ? watch->fd : ARES_SOCKET_BAD,
			writable ? watch->fd : ARES_SOCKET_BAD);
	/* libuv stops a handle that failed; if c-ares still wants the socket it is watched
	 * again. */
	if (!watch->stopped && !uv_is_active((uv_handle_t *)poll))
		uv_poll_start(poll, watch->events, on_poll);
}

static struct watch *watch_find(struct channel *channel, ares_socket_t fd)
{
	for (struct list *node = channel->sockets.next; node != &channel->sockets;
		node = node->next) {
		struct watch *watch = LIST_ENTRY(node, struct watch, node);

		if (watch->fd == fd)
			return watch;
	}
	return NULL;
}

/* NULL: no descriptor left. The question then ends by its time-out. */
static struct watch *watch_new(struct channel *channel, ares_socket_t fd)
{
	struct watch *watch;
	int own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own_fd < 0)
		return NULL;
	watch = mem_zalloc(sizeof(*watch));
	if (uv_poll_init(channel->ares->loop, &watch->poll, own_fd) != 0) {
		close(own_fd);
		free(watch);
		return NULL;
	}
	watch->poll.data = channel->ares;
	watch->channel = channel;
	watch->fd = fd;
	watch->own_fd = own_fd;
	list_append(&channel->sockets, &watch->node);
	channel->ares->open_handles++;
	return watch;
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct channel *channel = data;
	struct watch *watch = watch_find(channel, fd);

	if (!readable && !writable) {
		if (watch)
			watch_stop(watch);
		return;
	}
	if (!watch)
		watch = watch_new(channel, fd);
	if (!watch)
		return;
	watch->events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
	uv_poll_start(&watch->poll, watch->events, on_poll);
}

/* ---- channels ---- */

/* All 0 if there is no such file. */
static struct file_identity identify(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct file_identity){ 0 };
	return (struct file_identity){
		.device = (uint64_t)st.st_dev,
		.inode = (uint64_t)st.st_ino,
		.size = (uint64_t)st.st_size,
		.changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
	};
}

static bool same_file(const struct file_identity *a, const struct file_identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed_ns == b->changed_ns;
}

static int init_handle(struct dns_ares *ares, struct channel *channel)
{
	static char lookups[] = "b";   /* the DNS alone, not /etc/hosts */
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = ares->timeout_ms,
		.tries = ares->tries,
		.ednspsz = EDNS_BYTES,
		.lookups = lookups,
		.resolvconf_path = ares->resolv_conf,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = channel,
	};
	int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
		    ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB;
	int rc;

#if ARES_VERSION >= 0x011400
	options.udp_max_queries = CHANNEL_QUESTIONS / 10;
	given |= ARES_OPT_UDP_MAX_QUERIES;
#endif
#if ARES_VERSION >= 0x011700
	/* It knows nothing of the SOA's TTL; there is one cache, in dns.c. (Off by default
	 * before 1.31.) */
	options.qcache_max_ttl = 0;
	given |= ARES_OPT_QUERY_CACHE;
#endif
	rc = ares_init_options(&channel->handle, &options, given);
	if (rc != ARES_SUCCESS)
		return rc;
	if (ares->servers)
		rc = ares_set_servers_ports_csv(channel->handle, ares->servers);
	if (rc != ARES_SUCCESS)
		ares_destroy(channel->handle);
	return rc;
}

static struct channel *channel_new(struct dns_ares *ares, int *ret_rc)
{
	struct channel *channel = mem_zalloc(sizeof(*channel));

	channel->ares = ares;
	list_init(&channel->node);
	list_init(&channel->sockets);
	/* Before it is read: a change in between is seen next time. */
	channel->resolv_conf = identify(ares->resolv_conf);
	*ret_rc = init_handle(ares, channel);
	if (*ret_rc != ARES_SUCCESS)
		mem_free(&channel);
	return channel;
}

/* Ends what is outstanding, by callbacks from in here. */
static void channel_free(struct channel *channel)
{
	list_remove(&channel->node);
	ares_destroy(channel->handle);
	assert(channel->outstanding == 0);
	while (!list_is_empty(&channel->sockets))
		watch_stop(LIST_ENTRY(channel->sockets.next, struct watch, node));
	free(channel);
}

static void retire(struct dns_ares *ares)
{
	int rc;
	struct channel *next = channel_new(ares, &rc);

	if (!next)
		return;                /* the old one goes on */
	list_append(&ares->retired, &ares->current->node);
	ares->current = next;
	tidy_soon(ares);
}

static bool resolv_conf_changed(struct dns_ares *ares)
{
	uint64_t now_ms = uv_now(ares->loop);
	struct file_identity identity;

	if (ares->servers || now_ms - ares->checked_ms < RESOLV_CONF_CHECK_MS)
		return false;
	ares->checked_ms = now_ms;
	identity = identify(ares->resolv_conf);
	return !same_file(&identity, &ares->current->resolv_conf);
}

static bool too_many_retired(const struct dns_ares *ares)
{
	unsigned count = 0;

	for (const struct list *node = ares->retired.next; node != &ares->retired;
		node = node->next)
		count++;
	return count >= MAX_RETIRED;
}

static void choose_channel(struct dns_ares *ares)
{
	bool changed = resolv_conf_changed(ares);

	if (changed || (ares->current->asked >= CHANNEL_QUESTIONS && !too_many_retired(ares)))
		retire(ares);
}

static void free_retired(struct dns_ares *ares)
{
	struct list *node = ares->retired.next;

	while (node != &ares->retired) {
		struct channel *channel = LIST_ENTRY(node, struct channel, node);

		node = node->next;
		if (channel->outstanding == 0)
			channel_free(channel);
	}
}

/* ---- questions and answers ---- */

static void question_done(struct question *question)
{
	dns_flight_done(question->flight, DNS_UNKNOWN, question->message, question->message_len);
	free(question->message);
	free(question);
}

static void deliver_late(struct dns_ares *ares)
{
	struct list *node;

	while ((node = list_pop(&ares->late)) != NULL)
		question_done(LIST_ENTRY(node, struct question, node));
}

static void on_tidy(uv_idle_t *idle)
{
	struct dns_ares *ares = idle->data;

	uv_idle_stop(idle);
	deliver_late(ares);
	free_retired(ares);
	close_stopped(ares);
}

static void tidy_soon(struct dns_ares *ares)
{
	if (!uv_is_closing((uv_handle_t *)&ares->tidy))
		uv_idle_start(&ares->tidy, on_tidy);
}

static bool is_busy(const struct dns_ares *ares)
{
	return ares->current->outstanding > 0 || !list_is_empty(&ares->retired);
}

static void on_tick(uv_timer_t *timer)
{
	struct dns_ares *ares = timer->data;

	ares_process_fd(ares->current->handle, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	for (struct list *node = ares->retired.next; node != &ares->retired; node = node->next)
		ares_process_fd(LIST_ENTRY(node, struct channel, node)->handle, ARES_SOCKET_BAD,
				ARES_SOCKET_BAD);
	free_retired(ares);
	if (!is_busy(ares))
		uv_timer_stop(timer);
}

/* Is it an answer that says something? c-ares hands on a message with ENODATA and ENOTFOUND too. */
static bool is_answer(const unsigned char *message, int len)
{
	return message && len >= NS_HFIXEDSZ && ((message[3] & 0xf) == ns_r_noerror ||
						 (message[3] & 0xf) == ns_r_nxdomain);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *message, int len)
{
	struct question *question = arg;
	struct dns_ares *ares = question->channel->ares;
	bool answered =
		is_answer(message, len) &&
		(status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND);

	(void)timeouts;
	question->channel->outstanding--;
	if (ares->asking && ares->asking != question) {
		if (answered) {
			question->message = mem_alloc((size_t)len);
			question->message_len = (size_t)len;
			memcpy(question->message, message, (size_t)len);
		}
		list_append(&ares->late, &question->node);
		tidy_soon(ares);
		return;
	}
	dns_flight_done(question->flight, DNS_UNKNOWN, answered ? message : NULL,
			answered ? (size_t)len : 0);
	free(question);
}

static void ask(struct dns_backend *backend, struct dns_flight *flight, enum dns_type type,
		struct slice name)
{
	struct dns_ares *ares = LIST_ENTRY(backend, struct dns_ares, backend);
	struct question *question = mem_zalloc(sizeof(*question));

	assert(name.len < sizeof(question->name));
	choose_channel(ares);
	list_init(&question->node);
	question->channel = ares->current;
	question->flight = flight;
	memcpy(question->name, name.data, name.len);
	ares->current->outstanding++;
	ares->current->asked++;
	ares->asking = question;
	ares_query(ares->current->handle, question->name, ns_c_in, (int)type, on_answer, question);
	ares->asking = NULL;
	if (is_busy(ares) && !uv_is_active((uv_handle_t *)&ares->timer))
		uv_timer_start(&ares->timer, on_tick, TICK_MS, TICK_MS);
}

/* ---- start and stop ---- */

/* NULL for none. */
static char *join_servers(const struct config_strings *servers)
{
	struct buf text;
	char *joined;

	if (servers->count == 0)
		return NULL;
	buf_init(&text, SERVERS_BYTES);
	for (size_t i = 0; i < servers->count; i++) {
		if (i > 0)
			buf_add_char(&text, ',');
		buf_add(&text, servers->items[i]);
	}
	joined = mem_dup(buf_slice(&text));
	buf_release(&text);
	return joined;
}

static int to_int(uint64_t value)
{
	return value < 1 ? 1 : value > INT_MAX ? INT_MAX : (int)value;
}

static void init_handles(struct dns_ares *ares)
{
	uv_timer_init(ares->loop, &ares->timer);
	uv_idle_init(ares->loop, &ares->tidy);
	ares->timer.data = ares->tidy.data = ares;
	ares->open_handles = 2;
}

struct dns_ares *dns_ares_new(struct uv_loop_s *loop, const struct dns_ares_options *options,
			      const char **ret_why)
{
	struct dns_ares *ares;
	int rc = ares_library_init(ARES_LIB_INIT_ALL);

	if (rc != ARES_SUCCESS) {
		*ret_why = ares_strerror(rc);
		return NULL;
	}
	ares = mem_zalloc(sizeof(*ares));
	ares->backend.ask = ask;
	ares->loop = loop;
	ares->servers = join_servers(&options->servers);
	ares->resolv_conf =
		mem_dup(slice_of(options->resolv_conf ? options->resolv_conf : RESOLV_CONF));
	ares->timeout_ms = to_int(options->timeout_ms);
	ares->tries = to_int(options->tries);
	list_init(&ares->retired);
	list_init(&ares->stopped);
	list_init(&ares->late);
	ares->current = channel_new(ares, &rc);
	if (!ares->current) {
		*ret_why = ares_strerror(rc);
		ares_library_cleanup();
		free(ares->servers);
		free(ares->resolv_conf);
		free(ares);
		return NULL;
	}
	init_handles(ares);
	return ares;
}

struct dns_backend *dns_ares_backend(struct dns_ares *ares)
{
	return &ares->backend;
}

void dns_ares_close(struct dns_ares **ares)
{
	struct dns_ares *old = *ares;

	*ares = NULL;
	if (!old)
		return;
	while (!list_is_empty(&old->retired))
		channel_free(LIST_ENTRY(old->retired.next, struct channel, node));
	channel_free(old->current);
	old->current = NULL;
	deliver_late(old);
	close_stopped(old);
	uv_close((uv_handle_t *)&old->timer, on_closed);
	uv_close((uv_handle_t *)&old->tidy, on_closed);
}
